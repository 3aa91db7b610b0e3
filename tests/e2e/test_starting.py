"""The addresses on which a process listens. A bad setting ends the process with one line and exit code 2."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.servers import OPEN, Server
from tests.support.waiting import eventually, free_port

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "the server": ["-m", "app"],
    "its worker": ["-c", "import wsgi"],
    "a Celery worker": ["-c", "import app.worker"],
    "the command line": ["-m", "flask", "--app", "app", "saga", "list"],
}


def run(
    arguments: list[str], first: Callable[[], None] | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command. first: called in the process before the command."""
    environment = {**os.environ, **OPEN, "PORT": str(free_port()), **environment}
    return subprocess.run(
        [sys.executable, *arguments], check=False, env=environment, cwd=ROOT, capture_output=True, text=True,
        timeout=60, preexec_fn=first,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PARTICIPANT_STOKC_URL", "http://h", "did you mean PARTICIPANT_STOCK_URL?"),
        ("PARTICIPANT_STOCK_URL", "http://127.0.0.1:99999", "must be a URL such as"),
        ("PARTICIPANTS_CA_FILE", "/nowhere", "cannot be used: No such file or directory"),
    ],
)
def test_every_process_ends_with_one_line_at_a_bad_setting(arguments, name, value, said):
    ended = run(arguments, **{name: value, "DATABASE_URL": "postgresql://h/d", "BROKER_URL": "redis://127.0.0.1:9"})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"saga: {name}")
    assert ended.stderr.count("\n") == 1
    assert said in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [["-m", "app"], ["-c", "import wsgi"], ["-m", "app.cli", "list"], ["-m", "flask", "--app", "app", "db", "upgrade"]],
)
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no/such/x.db", "names a file in {}/no/such, which does not exist; create that folder, or name another file"),
        ("folder", "names the folder {}/folder; name a file in it, such as sqlite:///{}/folder/saga.db"),
    ],
    ids=["missing", "folder"],
)
def test_every_process_ends_with_one_line_at_a_bad_database_file(tmp_path, arguments, path, said):
    (tmp_path / "folder").mkdir()
    ended = run(arguments, DATABASE_URL=f"sqlite:///{tmp_path}/{path}", API_AUTH="on")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"saga: DATABASE_URL {said.replace('{}', str(tmp_path))}\n"


def test_more_threads_than_open_files_are_refused(sqlite_url):
    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))

    ended = run(["-m", "app"], few_files, DATABASE_URL=sqlite_url, THREADS="1024", API_AUTH="on")
    assert ended.returncode == 2
    assert ended.stderr == (
        "saga: THREADS=1024 needs more than 2,048 open files, and the system allows 2,048; raise its limit "
        "(ulimit -n, LimitNOFILE=) or lower THREADS\n"
    )


@pytest.mark.parametrize(
    ("host", "said"),
    [("a..b", "HOST=a..b is no address of this machine"), ("203.0.113.1", "set HOST to one of this machine")],
)
def test_host_that_cannot_be_bound_is_named_in_the_error(sqlite_url, host, said):
    ended = run(["-m", "app"], DATABASE_URL=sqlite_url, HOST=host, API_AUTH="on")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert said in ended.stderr


@pytest.mark.parametrize("host", ["::", "::1", "localhost"])
def test_server_listens_on_ipv6_and_on_a_host_name(sqlite_url, tmp_path, host):
    port = str(free_port())
    environment = {**os.environ, **OPEN, "API_AUTH": "on", "DATABASE_URL": sqlite_url, "HOST": host, "PORT": port}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"], env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    server = Server(f"http://{'localhost' if host == 'localhost' else '[::1]'}:{port}", process)
    try:
        eventually(lambda: server.answers("/health"), f"it answers; see {tmp_path / 'log'}")
        healthy = subprocess.run([sys.executable, "deploy/healthy.py"], env=environment, cwd=ROOT, check=False)
        assert healthy.returncode == 0
    finally:
        server.kill()
