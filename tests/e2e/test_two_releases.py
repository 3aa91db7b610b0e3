"""Two releases of the service, as processes on one database, with different tables.

Version 1 of a table is edited in place, renamed or removed, or another version stands beside it, while its sagas run.
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.support import forkserver
from tests.support.servers import OPEN, Server, start
from tests.support.waiting import eventually, free_port

TABLE = """
from machines import Saga, compensatable, post, retriable, text

TRIP = Saga(
    name="trip", version=1, initial="ASKED", completed="SENT", compensated="OFF",
    data={"city": text()}, participants=("shop",),
    steps=(
        compensatable("book", post("shop", "/bookings", city="city"), undo=post("shop", "/bookings/undo"),
                      done="BOOKED", refused="FULL"),
        retriable("send", post("shop", "/send"), done="SENT"),
    ),
)
"""
#: Version 2 calls another address in its last step.
SECOND = TABLE.replace("version=1", "version=2").replace('"/send"', '"/v2/send"')
#: Two processes can run sagas at the same time only on PostgreSQL.
POSTGRESQL = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


class Shop(ThreadingHTTPServer):
    """The participant of `trip`. While it is closed, it has no time for anything but bookings."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Calls)
        self.open, self.done, self.lock = threading.Event(), dict[str, str](), threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def of(self, saga_id: str) -> list[str]:
        """Return the paths of the calls that took effect for a saga, in their order."""
        return [path for key, path in self.done.items() if key.startswith(saga_id)]


class _Calls(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        busy = not self.server.open.is_set() and self.path.endswith("/send")
        if not busy:
            with self.server.lock:
                self.server.done.setdefault(self.headers["Idempotency-Key"], self.path)
        self.send_response(503 if busy else 200)
        if busy:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class Releases:
    """Releases of the service on one database. Each has the tables of a folder of its own."""

    def __init__(self, folder: Path, url: str, shop: Shop) -> None:
        self._folder, self._url, self._shop, self._running = folder, url, shop, list[Server]()
        self._count = 0

    def settings(self, *tables: str) -> dict[str, str]:
        """Return the settings of a release with these tables."""
        self._count += 1
        sagas = self._folder / f"release{self._count}"
        sagas.mkdir()
        for number, text in enumerate(tables):
            (sagas / f"trip{number}.py").write_text(text)
        return {
            "DATABASE_URL": self._url, "SAGAS": str(sagas), "PARTICIPANT_SHOP_URL": self._shop.url, "LEASE_S": "1",
            "RECOVERY_INTERVAL_S": "0.1", "PORT": str(free_port()),
        }  # fmt: skip

    def start(self, *tables: str) -> Server:
        settings = self.settings(*tables)
        log = self._folder / "log"
        self._running.append(start("app", "/ready", int(settings["PORT"]), log=log, **settings))
        return self._running[-1]

    def refused(self, *tables: str) -> str:
        """Start a release that must end by itself. Return its only line."""
        with (self._folder / "refused").open("w+b") as output:
            process = forkserver.start("app", env=OPEN | self.settings(*tables), stdout=output, stderr=output)
            self._running.append(Server("", process))
            code = process.wait(60)
            output.seek(0)
            line = output.read().decode()
        assert (code, line.count("\n")) == (2, 1), line
        return line

    def unknown(self, *tables: str) -> str:
        """Return what `saga list --unknown` says in a release with these tables."""
        done = forkserver.run("app.cli", "list", "--unknown", env=OPEN | self.settings(*tables))
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def close(self) -> None:
        for server in self._running:
            if server.process.poll() is None:
                server.kill()


@pytest.fixture
def releases(tmp_path: Path, store_url: str, shop: Shop) -> Iterator[Releases]:
    releases = Releases(tmp_path, store_url, shop)
    yield releases
    releases.close()


def begin(server: Server, shop: Shop) -> str:
    """Start a saga, and wait until it has booked. It cannot send before the shop opens. Return its id."""
    headers = {"Prefer": "respond-async"}
    answer = requests.post(f"{server.url}/api/v1/sagas/trip", json={"city": "Oslo"}, headers=headers, timeout=30)
    assert answer.status_code == 202, answer.text
    saga_id = str(answer.json()["id"])
    eventually(lambda: shop.of(saga_id), "the saga books")
    return saga_id


def status(server: Server, saga_id: str) -> str:
    answer = requests.get(f"{server.url}/api/v1/sagas/{saga_id}", timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["status"])


def assert_names(line: str, what: str) -> None:
    """Assert that a refused start names the table, the number of held sagas, the change and the remedy."""
    assert line.startswith("saga: the table of trip v1 was changed while 1 unfinished saga(s) of it run by another one")
    assert what in line
    remedy = "give the changed table the next version, version=2, and keep version 1 as it was beside it"
    assert line.endswith(f"{remedy}\n")


def assert_kept(server: Server, saga_id: str, unknown: str, version: str) -> None:
    """Assert that a release without the saga's table shows the saga, leaves it alone, and says why."""
    assert status(server, saga_id) == "in_progress"
    refused = requests.post(f"{server.url}/api/v1/sagas/{saga_id}/compensate", json={"reason": "x"}, timeout=30)
    assert refused.status_code == 409
    assert f"{version} is not defined, so this release does not move the saga" in refused.json()["detail"]
    assert saga_id[-8:] in unknown
    assert f"{version}: its table is not in this release." in unknown


@POSTGRESQL
def test_two_versions_side_by_side_each_end_their_own_sagas(releases, shop):
    old, new = releases.start(TABLE), releases.start(TABLE, SECOND)
    first, second, third = begin(old, shop), begin(new, shop), begin(old, shop)
    assert_kept(old, second, releases.unknown(TABLE), "trip v2")
    new.kill()
    shop.open.set()
    eventually(lambda: status(old, first) == status(old, third) == "completed", "the old release ends its sagas")
    assert_kept(old, second, releases.unknown(TABLE), "trip v2")
    assert shop.of(second) == ["/bookings"]
    again = releases.start(TABLE, SECOND)
    eventually(lambda: status(again, second) == "completed", "the new release ends its saga")
    assert [shop.of(each) for each in (first, third)] == [["/bookings", "/send"]] * 2
    assert shop.of(second) == ["/bookings", "/v2/send"]


CHANGES = pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"/send"', '"/dispatch"', "step 'send': call was POST shop/send and is POST shop/dispatch"),
        ('done="BOOKED"', 'done="HELD"', "step 'book': done was BOOKED and is HELD"),
        ('retriable("send"', 'retriable("ship"', "step 'send' is now 'ship'"),
    ],
    ids=["a call edited", "a state renamed", "a step renamed"],
)


@POSTGRESQL
@CHANGES
def test_table_changed_in_place_is_refused_while_its_sagas_run(releases, shop, old, new, what):
    running, changed = releases.start(TABLE), TABLE.replace(old, new)
    saga_id = begin(running, shop)
    assert_names(releases.refused(changed), what)
    shop.open.set()
    eventually(lambda: status(running, saga_id) == "completed", "the running release goes on")
    after = releases.start(changed)
    assert status(after, saga_id) == "completed", "an ended saga holds no table"
    assert shop.of(saga_id) == ["/bookings", "/send"]


@CHANGES
def test_saga_of_a_changed_table_ends_when_its_table_is_put_back(releases, shop, old, new, what):
    first = releases.start(TABLE)
    saga_id = begin(first, shop)
    first.kill()
    assert_names(releases.refused(TABLE.replace(old, new)), what)
    again = releases.start(TABLE)
    shop.open.set()
    eventually(lambda: status(again, saga_id) == "completed", "the saga ends by its table")
    assert shop.of(saga_id) == ["/bookings", "/send"]


def test_change_of_wording_alone_is_taken_by_running_sagas(releases, shop):
    old = releases.start(TABLE)
    saga_id = begin(old, shop)
    old.kill()
    patient = releases.start(TABLE.replace('data={"city"', 'deadline_s=3600, data={"city"'))
    shop.open.set()
    eventually(lambda: status(patient, saga_id) == "completed", "the saga ends by the edited table")
    assert shop.of(saga_id) == ["/bookings", "/send"]


@pytest.mark.parametrize(
    "later",
    [TABLE.replace('name="trip"', 'name="journey"'), SECOND],
    ids=["renamed", "removed"],
)
def test_saga_whose_table_is_gone_is_kept_until_the_table_is_back(releases, shop, later):
    old = releases.start(TABLE)
    saga_id = begin(old, shop)
    old.kill()
    without = releases.start(later)
    shop.open.set()
    name = "journey" if "journey" in later else "trip"
    other = requests.post(f"{without.url}/api/v1/sagas/{name}", json={"city": "Rome"}, timeout=30)
    assert other.status_code == 201, "the release runs its own sagas"
    assert_kept(without, saga_id, releases.unknown(later), "trip v1")
    assert shop.of(saga_id) == ["/bookings"]
    without.kill()
    both = releases.start(TABLE, later)
    eventually(lambda: status(both, saga_id) == "completed", "the saga ends with its table")
    assert shop.of(saga_id) == ["/bookings", "/send"]
