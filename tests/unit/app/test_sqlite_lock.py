"""Only one process may run the sagas of a SQLite file."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from app import create_app
from app.config import from_environment
from app.settings import ConfigError
from app.store.database import db
from app.store.sqlite_file import announce_ending, file_of, hold

HOLDER = (
    "import sys; from app.store.sqlite_file import hold; kept = hold(sys.argv[1]); print('held', flush=True); input()"
)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'saga.db'}"


@pytest.fixture
def holder(url):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_second_process_is_refused_with_the_pid_of_the_first(url, holder):
    with pytest.raises(ConfigError, match=f"process {holder.pid} runs the sagas of .*saga.db.* stop it, or set"):
        hold(url)


def test_killed_process_holds_no_lock(url, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    hold(url).close()


def test_lock_waits_for_a_process_that_is_ending(url, holder):
    threading.Timer(0.3, holder.kill).start()
    hold(url, patience_s=10).close()


def test_lock_waits_only_a_short_time_for_a_running_process(url, holder):
    began = time.monotonic()
    with pytest.raises(ConfigError, match="stop it"):
        hold(url, patience_s=0.3, grace_s=60)
    assert 0.3 <= time.monotonic() - began < 30


def test_lock_waits_for_the_grace_time_of_an_ending_process(url):
    first = hold(url)
    announce_ending(first)
    threading.Timer(0.5, first.close).start()
    hold(url, grace_s=10).close()


def test_process_that_exceeds_its_grace_time_is_named(url):
    first = hold(url)
    announce_ending(first)
    with pytest.raises(ConfigError, match=f"process {os.getpid()} runs the sagas"):
        hold(url, grace_s=0.3)
    first.close()
    hold(url).close()


def test_closed_file_has_no_lock(url):
    hold(url).close()
    hold(url).close()


def test_postgresql_allows_many_processes():
    assert hold("postgresql+psycopg2://x@host/x") is None


@pytest.mark.usefixtures("holder")
def test_a_link_to_the_file_has_the_lock_of_the_file(url, tmp_path):
    (tmp_path / "saga.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "saga.db")
    with pytest.raises(ConfigError, match="runs the sagas of"):
        hold(url.replace("saga.db", "link.db"))


def test_folder_without_write_permission_needs_no_lock():
    assert hold("sqlite:////proc/saga.db") is None


@pytest.mark.parametrize("name", ["/tmp/x/saga.db", "saga.db", "var/saga.db?timeout=1"])
def test_the_locked_file_is_the_one_that_the_service_opens(name):
    app = create_app(from_environment({"DATABASE_URL": f"sqlite:///{name}"}))
    with app.app_context():
        assert str(file_of(f"sqlite:///{name}")) == db.engine.url.database
