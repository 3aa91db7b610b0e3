"""Fixtures: a browser, a real server, and a signed-in operator."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page

from app import create_app
from app.access.user_accounts import hashed
from app.config import from_environment
from app.services import services
from app.store.database import db
from tests.support.servers import Participants, Server, serve_participants, start
from tests.support.waiting import eventually, free_port

PASSWORD = "correct horse battery"


@dataclass
class AdminServer:
    """A server with a database that is empty before each test."""

    file: Path
    serve: Callable[[], Server]
    server: Server = field(init=False)

    def open(self) -> None:
        self.server = self.serve()

    def empty(self) -> None:
        with closing(sqlite3.connect(self.file)) as database:
            database.executescript("DELETE FROM journal; DELETE FROM saga;")


@dataclass
class Site:
    """A running server, its participants and its browser."""

    admin_server: AdminServer
    participants: Participants
    context: BrowserContext

    @property
    def server(self) -> Server:
        return self.admin_server.server

    def orders(self, number: int, *, status: str, client: int = 4) -> list[str]:
        """Place `number` orders, wait until each has the status `status`, and return their ids."""
        body = {"client_id": client, "magasin_id": 1}
        ids = [
            requests.post(
                f"{self.server.url}/api/commande/checkout", json=body, headers={"Prefer": "respond-async"}, timeout=10
            ).json()["saga_id"]
            for _ in range(number)
        ]
        eventually(lambda: all(self.saga(saga_id)["status"] == status for saga_id in ids), f"all are {status}")
        return ids

    def saga(self, saga_id: str) -> Any:
        return requests.get(f"{self.server.url}/api/v1/sagas/{saga_id}", timeout=10).json()

    def stuck_orders(self, number: int) -> list[str]:
        """Place orders that get stuck at the sale, because `ventes` answers 503. Afterwards `ventes` works again."""
        self.participants.add_fault("ventes", kind="fail", path="/ventes", times=None)
        ids = self.orders(number, status="failed")
        self.participants.clear_faults()
        return ids

    def become(self, name: str) -> None:
        """Sign in as another user."""
        self.context.clear_cookies()
        sign_in(self.context, self.server.url, name)

    def open(self, path: str, **options: Any) -> Page:
        """Open a page. A script error, or a violation of its Content-Security-Policy, fails the test at its end."""
        page = self.context.new_page()
        if options:
            page.set_viewport_size(options)
        page.goto(self.server.url + path)
        return page


@pytest.fixture(scope="session")
def participants_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Participants]:
    """Start participants for these tests alone: a stuck saga leaves goods reserved, which other tests would count."""
    yield from serve_participants(tmp_path_factory.mktemp("participants"))


@pytest.fixture(scope="session")
def admin_server(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, participants_server: Participants
) -> Iterator[AdminServer]:
    """Share one server between all tests of this folder."""
    folder = tmp_path_factory.mktemp("admin_server")
    shutil.copy(sqlite_template, folder / "saga.db")
    port = free_port()
    settings = {
        "DATABASE_URL": f"sqlite:///{folder / 'saga.db'}", "PARTICIPANTS_URL": participants_server.url,
        "PORT": str(port), "SECRET_KEY": "s" * 40, "API_AUTH": "off", "LEASE_S": "5", "RECOVERY_INTERVAL_S": "0.1",
        "BREAKER_FAILURES": "1000",
    }  # fmt: skip
    for name, role in (("ada", "operator"), ("eve", "viewer"), ("root", "admin")):
        add_user(settings["DATABASE_URL"], name, role)
    admin_server = AdminServer(
        folder / "saga.db", partial(start, "app", "/ready", port, log=folder / "log", **settings)
    )
    admin_server.open()
    yield admin_server
    admin_server.server.kill()


@pytest.fixture
def site(admin_server: AdminServer, browser: Browser, participants: Participants) -> Iterator[Site]:
    admin_server.empty()
    # Without animations, because axe would check colours in the middle of a transition.
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(120_000)
    complaints: list[str] = []
    context.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    context.on("weberror", lambda error: complaints.append(f"Error: {error.error}"))
    sign_in(context, admin_server.server.url, "ada")
    yield Site(admin_server, participants, context)
    context.close()
    assert not [text for text in complaints if "Content Security Policy" in text or "Error:" in text]


def add_user(url: str, name: str, role: str) -> None:
    app = create_app(from_environment({"DATABASE_URL": url}))
    with app.app_context():
        services(app).users.add(name, role, hashed(PASSWORD), "test")
        db.engine.dispose()


def sign_in(context: BrowserContext, url: str, name: str) -> None:
    """Sign in. Try again when the service answers 429: a loaded machine hashes passwords too slowly."""
    page = context.new_page()
    page.goto(url + "/login")
    for _ in range(10):
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        with page.expect_navigation():
            page.get_by_role("button", name="Sign in").click()
        if page.url.endswith("/admin"):
            break
    else:
        raise AssertionError(page.inner_text("body"))
    page.close()
