"""Two processes on one PostgreSQL, one with a clock that is an hour wrong: nothing is early, late or doubled."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests

from tests.e2e.family import Book
from tests.support.servers import Server, start
from tests.support.waiting import eventually, free_port

SUPPORT = Path(__file__).parents[1] / "support"
#: How late, in seconds, a saga may end a wait of 3 seconds on a busy machine. It is far less than an hour.
LATE_S = 60
#: Lease of a process in seconds. The slow call lasts longer than a renewal, so a wrong clock would end the lease.
LEASE_S = 2


class Replica:
    def __init__(self, server: Server) -> None:
        self.server, self.url = server, server.url

    def start(self, kind: str, query: str = "", **data: str) -> str:
        sent = requests.post(
            f"{self.url}/api/v1/sagas/{kind}{query}", json={"customer": "Ada"} | data, timeout=30,
            headers={} if query else {"Prefer": "respond-async"},
        )  # fmt: skip
        sent.raise_for_status()
        return str(sent.json()["id"])

    def saga(self, saga_id: str) -> dict[str, Any]:
        return dict(requests.get(f"{self.url}/api/v1/sagas/{saga_id}", timeout=10).json())

    def state(self, saga_id: str) -> str:
        return str(self.saga(saga_id)["state"])

    def send(self, path: str, body: dict[str, Any]) -> None:
        headers = {"Prefer": "respond-async"} if "/signals/" in path else {}
        requests.post(f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=30).raise_for_status()

    def stay_s(self, saga_id: str, state: str) -> float:
        """Return how long the saga was in a state, in seconds by its journal."""
        moves = requests.get(f"{self.url}/api/v1/sagas/{saga_id}/journal", timeout=10).json()["journal"]
        entered = next(move["at"] for move in moves if move["dest"] == state)
        left = next(move["at"] for move in moves if move["source"] == state)
        return (datetime.fromisoformat(left) - datetime.fromisoformat(entered)).total_seconds()


@pytest.fixture
def book() -> Iterator[Book]:
    made = Book()
    made.accepted = frozenset({"pack"})
    yield made
    made.close()


@pytest.fixture
def replicas(store_url, book, tmp_path, request) -> Iterator[list[Replica]]:
    """Start a process with the right clock, and one whose clock is wrong by `request.param` seconds."""
    started: list[Replica] = []
    public = free_port()
    for offset in (0, request.param):
        port = free_port() if started else public
        moved = {"PYTHONPATH": str(SUPPORT / "moved_clock"), "CLOCK_OFFSET_S": str(offset)} if offset else {}
        settings = {
            "DATABASE_URL": store_url, "SAGAS": str(SUPPORT / "clock_sagas"), "PARTICIPANT_SHOP_URL": book.url,
            "PUBLIC_URL": f"http://127.0.0.1:{public}", "PORT": str(port), "LEASE_S": str(LEASE_S),
            "RECOVERY_INTERVAL_S": "0.2",
        }  # fmt: skip
        started.append(Replica(start("app", "/ready", port, log=tmp_path / f"{offset}.log", **settings, **moved)))
    yield started
    for replica in started:
        if replica.server.process.poll() is None:
            replica.server.kill()


both_ways = pytest.mark.parametrize("replicas", [3_600, -3_600], indirect=True, ids=["ahead", "behind"])
on_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


def answer_url(book: Book, saga_id: str) -> str:
    return eventually(lambda: book.reply_urls.get(f"{saga_id}/pack"), "the participant has got the call")


@on_postgresql
@both_ways
def test_a_clock_that_is_wrong_by_an_hour_changes_no_wait(store_url, replicas, book):
    right, wrong = replicas
    now = datetime.fromisoformat(requests.get(f"{right.url}/health", timeout=5).json()["timestamp"])
    skewed = datetime.fromisoformat(requests.get(f"{wrong.url}/health", timeout=5).json()["timestamp"])
    assert abs((skewed - now).total_seconds()) > 3_500, "the clock of the second process is moved"
    packed = [replica.start("packed") for replica in replicas]
    signalled = [replica.start("signalled") for replica in replicas]
    short = {kind: [replica.start(kind) for replica in replicas] for kind in ("rested", "expired")}
    soon, far = in_s(3), in_s(1_800)
    dated = [replica.start("dated", at=soon.isoformat()) for replica in replicas]
    resting = [replica.start("dated", at=far.isoformat()) for replica in replicas]
    later = [replica.start("rested", f"?start_at={soon:%Y-%m-%dT%H:%M:%S.%fZ}") for replica in replicas]
    pending = [replica.start("rested", f"?start_at={far:%Y-%m-%dT%H:%M:%SZ}") for replica in replicas]
    schedule(store_url, right, "near", soon)
    schedule(store_url, wrong, "far", far)
    ends = [*short["rested"], *short["expired"], *dated, *later]
    for saga_id in ends:
        eventually(lambda saga_id=saga_id: right.state(saga_id) in ("PAID", "CALLED_OFF"), "the wait is over")
    for saga_id in short["rested"]:
        assert 3 <= right.stay_s(saga_id, "ASKED") <= 3 + LATE_S
    for saga_id in later:
        assert soon + timedelta(seconds=3) <= left_at(right, saga_id) <= soon + timedelta(seconds=3 + LATE_S)
    for saga_id in short["expired"]:
        assert right.state(saga_id) == "CALLED_OFF"
        assert 3 <= right.stay_s(saga_id, "HELD") <= 3 + LATE_S
    for saga_id in dated:
        assert soon <= left_at(right, saga_id) <= soon + timedelta(seconds=LATE_S)
    for saga_id in (*packed, *signalled, *resting, *pending):
        assert right.saga(saga_id)["status"] in ("waiting", "pending"), "no wait has ended early"
    for replica, saga_id, signal_id in zip(replicas, packed, signalled, strict=True):
        requests.post(answer_url(book, saga_id), json={}, timeout=30).raise_for_status()
        replica.send(f"/sagas/{signal_id}/signals/agree", {})
    for saga_id in (*packed, *signalled):
        eventually(lambda saga_id=saga_id: right.state(saga_id) == "PAID", "the answer and the signal are taken")
    near, far_one = (schedule_of(right, name) for name in ("near", "far"))
    assert near["last_result"] == "started"
    assert far_one["last_at"] is None
    assert in_s(-60) < datetime.fromisoformat(near["next_at"]) < in_s(120)
    keys = query(store_url, "SELECT idempotency_key FROM saga WHERE started_by LIKE %s", "schedule:%")
    assert f"schedule/near/{soon:%Y-%m-%dT%H:%MZ}" in {key for (key,) in keys}
    assert len(keys) == len(set(keys)) <= 2, "one saga for the near time, and one more after a minute"
    assert max(book.requests.values()) == 1, f"a call was sent twice: {book.requests}"


@on_postgresql
@both_ways
def test_a_clock_that_is_wrong_by_an_hour_neither_ends_nor_prolongs_a_lease(store_url, replicas, book):
    right, wrong = replicas
    book.delays["pay"] = LEASE_S * 2
    slow = [replica.start("rested") for replica in replicas]
    for saga_id in slow:
        eventually(lambda saga_id=saga_id: right.state(saga_id) == "PAID", "the slow call has ended")
    assert max(book.requests.values()) == 1, f"a lease ended during a call: {book.requests}"
    book.delays["pay"] = 3_000.0
    lost = right.start("signalled")
    right.send(f"/sagas/{lost}/signals/agree", {})
    eventually(lambda: book.requests[f"{lost}/pay"], "the call is in flight")
    right.server.kill()
    book.delays.clear()
    eventually(lambda: wrong.state(lost) == "PAID", "the other process takes the saga over", timeout_s=LATE_S)
    assert book.requests[f"{lost}/pay"] == 2


def in_s(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def left_at(replica: Replica, saga_id: str) -> datetime:
    moves = requests.get(f"{replica.url}/api/v1/sagas/{saga_id}/journal", timeout=10).json()["journal"]
    return datetime.fromisoformat(next(move["at"] for move in moves if move["dest"] == "RESTED"))


def schedule(url: str, replica: Replica, name: str, next_at: datetime) -> None:
    """Add a schedule for every minute, and set its next time.

    Its sagas may overlap, because the full minute can come while the saga of the set time still runs.
    """
    columns = {"type": "rested", "data": {"customer": "Ada"}, "cron": "* * * * *", "overlap": "allow"}
    replica.send("/schedules", {"name": name, **columns})
    query(url, "UPDATE schedule SET next_at = %s WHERE name = %s", next_at, name)


def schedule_of(replica: Replica, name: str) -> dict[str, Any]:
    return dict(requests.get(f"{replica.url}/api/v1/schedules/{name}", timeout=10).json())


def query(url: str, text: str, *values: Any) -> list[Any]:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall() if cursor.description else []


@on_postgresql
@both_ways
def test_the_command_line_shows_ages_by_the_clock_of_the_database(store_url, replicas):
    right, wrong = replicas
    saga_id = right.start("signalled")
    for command in (["show", saga_id], ["list"]):
        shown = subprocess.run(
            [sys.executable, "-m", "app.cli", *command], env=dict(wrong.server.environment), capture_output=True,
            text=True, check=True,
        ).stdout  # fmt: skip
        assert saga_id[-8:] in shown
        assert not re.search(r"\d+ ?h", shown), shown
