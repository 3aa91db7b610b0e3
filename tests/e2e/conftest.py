"""Fixtures: the participants' service, and orchestrators that a test starts and kills, all as real processes."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import chromium
from tests.support.servers import Participants, Server, serve_participants, start
from tests.support.waiting import free_port


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def participants_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Participants]:
    yield from serve_participants(tmp_path_factory.mktemp("participants"))


@pytest.fixture
def participants(participants_server: Participants) -> Iterator[Participants]:
    yield participants_server
    participants_server.clear_faults()


@pytest.fixture
def orchestrator(store_url: str, orchestrator_at: Callable[..., Server]) -> Callable[..., Server]:
    """Return a function that starts an orchestrator over the test's database. At the end all of them are killed."""
    return partial(orchestrator_at, store_url)


@pytest.fixture
def orchestrator_at(participants: Participants, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return a function that starts an orchestrator over the database of a URL. At the end all of them are killed."""
    started: list[Server] = []

    def start_one(url: str, **environment: str) -> Server:
        port = free_port()
        settings = {
            "DATABASE_URL": url,
            "PARTICIPANTS_URL": participants.url,
            "PORT": str(port),
            "LEASE_S": "1",
            "RECOVERY_INTERVAL_S": "0.1",
        }
        started.append(start("app", "/ready", port, log=tmp_path / "orchestrator.log", **(settings | environment)))
        return started[-1]

    yield start_one
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture
def url_and_key(orchestrator_at: Callable[..., Server], sqlite_template: Path, tmp_path: Path) -> tuple[str, str]:
    """Start an orchestrator on SQLite that requires keys. Return its URL, and a key that may read and start."""
    shutil.copy(sqlite_template, tmp_path / "keyed.db")
    server = orchestrator_at(f"sqlite:///{tmp_path / 'keyed.db'}", API_AUTH="on")
    command = [sys.executable, "-m", "app.cli", "key", "add", "shop", "--scope=read", "--scope=start"]
    made = subprocess.run(command, env=dict(server.environment), capture_output=True, text=True, check=True)
    return server.url, made.stdout.strip()
