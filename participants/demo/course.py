"""The course of the demo, from its first line to its last."""

import secrets
import shlex
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

from participants.demo.books import read_books
from participants.demo.checkouts import Checkout, Order
from participants.demo.processes import Program, Programs, StoppableClock, StoppedError
from participants.demo.screen import Screen
from participants.demo.services import Orchestrator, Participants
from participants.demo.settings import LOOPBACK, Settings

#: Duration of each call to a participant in seconds: by default, so that people can watch the states, and with --once.
WATCHED_S, ONCE_S = 0.2, 0.02
#: Seconds that a killed orchestrator stays down, so that the outage is visible.
RESTART_DELAY_S = 4.0
#: An orchestrator that exits without a signal within this many seconds after its start has failed to start.
SETTLED_S = 10.0
#: The file with the id of the orchestrator's process group.
GROUP_FILE = "orchestrator.pid"
#: A client without special rows in participants/seed.py, so that the client's order succeeds.
ORDINARY_CLIENT = 5
#: The name of the account for the operator's pages. The password of the account is only valid for this run.
LOGIN = "demo"


class Show:
    def __init__(self, settings: Settings, folder: Path, programs: Programs, clock: StoppableClock) -> None:
        self._settings, self._folder = settings, folder
        self._programs, self._clock = programs, clock
        self._orchestrator = Orchestrator(settings.url)
        self._participants = Participants(settings.participants_url)
        self._screen = Screen()
        self._complaints: list[str] = []
        self._password, self._secret = secrets.token_urlsafe(12), secrets.token_hex(32)
        self._running_participants: Program
        self._running_orchestrator: Program
        self._ready_at = 0.0

    def run(self, checkouts: Sequence[Checkout], *, once: bool) -> int:
        """Run the demo and return the exit code: 0 when everything was as expected."""
        self._start()
        self._participants.slow_down(ONCE_S if once else WATCHED_S)
        orders = [self._watch(checkout) for checkout in checkouts]
        self._participants.speed_up()
        path = self._show_api()
        self._audit(confirmed=1 + sum(order.confirmed for order in orders))
        self._seed()
        if not once:
            self._screen.shop(self._settings.participants_url, self._kill_command)
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
            self._stay()
        return 0

    def _start(self) -> None:
        """Start the participants while the database is migrated, and then the orchestrator."""
        began = time.monotonic()
        self._screen.line("starting the orchestrator and its participants …", "dim")
        port, data = str(self._settings.participants_port), str(self._folder / "participants")
        arguments = ("participants", "--host", LOOPBACK, "--port", port, "--data", data, "--faults")
        shop = {
            "ORCHESTRATOR_URL": self._settings.url,
            "ORCHESTRATOR_KILL_COMMAND": self._kill_command,
            "ORCHESTRATOR_GROUP_FILE": str(self._folder / GROUP_FILE),
        }
        self._running_participants = self._programs.start("participants", *arguments, environment=shop)
        migration = ("migration", "flask", "--app", "app", "db", "upgrade")
        self._programs.until_done(self._programs.start(*migration, environment=self._environment))
        command = ("user", "app.cli", "user", "add", LOGIN, "--role", "admin", "--password-stdin")
        adding = self._programs.start(*command, environment=self._environment, stdin_text=self._password)
        self._programs.until_done(adding)
        self._programs.until_ready(self._running_participants, f"{self._participants.url}/ventes/health")
        self._start_orchestrator()
        self._screen.good(f"up in {time.monotonic() - began:.1f} s: {self._settings.url} is ready")

    def _start_orchestrator(self) -> None:
        self._running_orchestrator = self._programs.start("orchestrator", "app", environment=self._environment)
        (self._folder / GROUP_FILE).write_text(f"{self._running_orchestrator.group}\n")
        self._programs.until_ready(self._running_orchestrator, f"{self._orchestrator.url}/ready")
        self._ready_at = time.monotonic()

    @property
    def _environment(self) -> dict[str, str]:
        """The environment of the orchestrator and of its migration."""
        return {
            "DATABASE_URL": f"sqlite:///{self._folder / 'saga.db'}",
            "PARTICIPANTS_URL": self._settings.participants_url,
            "HOST": LOOPBACK,
            "PORT": str(self._settings.port),
            "API_AUTH": "off",  # the commands of the README must work unchanged
            "SECRET_KEY": self._secret,
            "BREAKER_OPEN_S": "3",  # the default of 30 s is too long to watch a participant come back
        }

    @property
    def _kill_command(self) -> str:
        """The shell command that kills the orchestrator. It reads the process group from GROUP_FILE when it is run."""
        return f"kill -9 -- -$(cat {shlex.quote(str(self._folder / GROUP_FILE))})"

    def _stay(self) -> None:
        """Run until StoppedError. A killed orchestrator is started again and continues its sagas."""
        while True:
            ended = self._programs.until_one_ends(self._running_participants, self._running_orchestrator)
            by_itself = time.monotonic() - self._ready_at < SETTLED_S and (ended.exit_code or 0) >= 0
            if ended is not self._running_orchestrator or by_itself:
                raise ended.failed(f"ended ({ended.exit_code})")
            outcome = f"the orchestrator is dead ({ended.exit_code})"
            self._screen.bad(f"{outcome}; it is started again in {RESTART_DELAY_S:g} s")
            ended.signal(signal.SIGKILL)  # remaining processes of the group would keep the port
            self._clock.sleep(RESTART_DELAY_S)
            self._start_orchestrator()
            self._screen.good("the orchestrator is back; every saga continues where it stopped")

    def _watch(self, checkout: Checkout) -> Order:
        order = Order(self._orchestrator, checkout)
        self._screen.begin(checkout)
        began = time.monotonic()
        for number, state in enumerate(order.follow(self._clock)):
            self._screen.enter(state, order.states[:number])
        self._screen.end(order, time.monotonic() - began)
        if order.complaint:
            self._complaints.append(order.complaint)
        return order

    def _show_api(self) -> str:
        """Order like an API client that waits for the answer. Return the order's path."""
        self._screen.title("What an API client gets", f"client {ORDINARY_CLIENT} buys, and waits for the answer")
        answer = self._orchestrator.checkout(ORDINARY_CLIENT, str(uuid4()))
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

    def _seed(self) -> None:
        """Start one saga of every type, for the lists and pages.

        Call this after the check of the books, which counts only the checkouts.
        """
        self._programs.until_done(self._programs.start("examples", "app.cli", "seed", environment=self._environment))
