"""The demo from its first line to its last."""

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

from demo.ledgers import read_books
from demo.processes import Program, Programs
from demo.screen import Screen
from demo.services import Orchestrator, Participants
from demo.settings import LOOPBACK, Settings
from demo.stopping import Patience, StoppedError
from demo.story import Checkout, Order

#: How long each call to a participant lasts: to be watched, or to be done with.
WATCHED_S, ONCE_S = 0.2, 0.02
#: Who has no rows of his own in the participants' databases; his order succeeds.
ANYBODY = 5
#: Who may sign in to the operator's pages, for as long as the demo lives, with a password of that one run.
LOGIN = "demo"


class Show:
    def __init__(self, settings: Settings, folder: Path, programs: Programs, patience: Patience) -> None:
        self._settings, self._folder = settings, folder
        self._programs, self._patience = programs, patience
        self._orchestrator = Orchestrator(settings.url)
        self._participants = Participants(settings.participants_url)
        self._screen = Screen()
        self._complaints: list[str] = []
        self._password = secrets.token_urlsafe(12)

    def run(self, checkouts: Sequence[Checkout], *, once: bool) -> int:
        """Give the exit code: 0 when everything was as expected."""
        running = self._start()
        self._participants.slow_down(ONCE_S if once else WATCHED_S)
        orders = [self._watch(checkout) for checkout in checkouts]
        self._participants.speed_up()
        path = self._ask()
        self._audit(confirmed=1 + sum(order.confirmed for order in orders))
        self._screen.urls(self._settings.url, path)
        self._screen.sign_in(f"{self._settings.url}/admin", LOGIN, self._password)
        if self._complaints:
            self._screen.bad(f"{len(self._complaints)} not as expected")
            return 1
        if once:
            self._screen.good("everything was as expected; stopping (without ONCE the demo stays up)")
            return 0
        self._screen.good("everything was as expected; Ctrl-C stops everything")
        with suppress(StoppedError):
            self._programs.until_stopped(*running)
        return 0

    def _start(self) -> list[Program]:
        """Start the participants while the database is migrated, and then the orchestrator."""
        began = time.monotonic()
        environment = {
            "DATABASE_URL": f"sqlite:///{self._folder / 'saga.db'}",
            "PARTICIPANTS_URL": self._settings.participants_url,
            "HOST": LOOPBACK,
            "PORT": str(self._settings.port),
            "API_AUTH": "off",  # what the README shows is to work as it stands there
            "SECRET_KEY": secrets.token_hex(32),
        }
        self._screen.line("starting the orchestrator and its participants …", "dim")
        port, data = str(self._settings.participants_port), str(self._folder / "participants")
        arguments = ("participants", "--host", LOOPBACK, "--port", port, "--data", data, "--faults")
        participants = self._programs.start("participants", *arguments, environment={})
        migration = self._programs.start("migration", "flask", "--app", "app", "db", "upgrade", environment=environment)
        self._programs.until_done(migration)
        adding = ("app.cli", "user", "add", LOGIN, "--role", "admin", "--password-stdin")
        self._programs.until_done(self._programs.start("user", *adding, environment=environment, told=self._password))
        orchestrator = self._programs.start("orchestrator", "app", environment=environment)
        self._programs.until_ready(participants, f"{self._participants.url}/ventes/health")
        self._programs.until_ready(orchestrator, f"{self._orchestrator.url}/ready")
        self._screen.good(f"up in {time.monotonic() - began:.1f} s: {self._settings.url} is ready")
        return [participants, orchestrator]

    def _watch(self, checkout: Checkout) -> Order:
        order = Order(self._orchestrator, checkout)
        self._screen.begin(checkout)
        began = time.monotonic()
        for number, state in enumerate(order.follow(self._patience)):
            self._screen.enter(state, order.states[:number])
        self._screen.end(order, time.monotonic() - began)
        if order.complaint:
            self._complaints.append(order.complaint)
        return order

    def _ask(self) -> str:
        """Order as an API client would, who waits for the answer. Give the order's path."""
        self._screen.title("What an API client gets", f"client {ANYBODY} buys, and waits for the answer")
        answer = self._orchestrator.checkout(ANYBODY, str(uuid4()))
        self._screen.exchange(answer)
        if answer.status_code != HTTPStatus.CREATED:
            self._complaints.append(f"expected the answer 201, got {answer.status_code}")
        return answer.headers.get("Location", "")

    def _audit(self, *, confirmed: int) -> None:
        books = read_books(self._participants)
        self._screen.books(books)
        for complaint in books.complaints(confirmed):
            self._screen.bad(complaint)
            self._complaints.append(complaint)
