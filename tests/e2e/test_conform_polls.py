"""`saga conform` against a participant that answers 202 and is then asked, with planted faults."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli.__main__ import command_line
from tests.support.json_server import JsonHandler, serving
from tests.support.waiting import HOST

SAGAS = Path(__file__).parent / "conform_participant" / "polled"
WORK_S = 0.1


class Packer(ThreadingHTTPServer):
    """Packs parcels, each after WORK_S. `fault` names the mistake that it makes."""

    def __init__(self) -> None:
        super().__init__((HOST, 0), Desk)
        self.fault = ""
        self.lock = threading.Lock()
        #: Idempotency key → number of the parcel; number → the time when it is packed; None: it is gone.
        self.keys: dict[str, str] = {}
        self.parcels: dict[str, float | None] = {}
        self.polls: Counter[str] = Counter()

    def pack(self, key: str) -> tuple[int, Any]:
        with self.lock:
            number = self.keys.setdefault(key, f"p{len(self.keys)}")
            self.parcels.setdefault(number, time.monotonic() + WORK_S)
        return 202, {"id": number, "state": "packing"}

    def answer(self, number: str) -> tuple[int, Any]:
        self.polls[number] += 1
        if number not in self.parcels:
            pending = {"unknown is packed": "packed", "unknown is pending": "packing"}.get(self.fault)
            return (200, {"id": number, "state": pending}) if pending else (404, {"detail": "no such parcel"})
        packed_at = self.parcels[number]
        if packed_at is None and self.fault != "undone is packed":
            return 200, {"id": number, "state": "packing" if self.fault == "undone is pending" else "gone"}
        if packed_at is not None and (packed_at > time.monotonic() or self.fault == "never"):
            return 200, {"id": number, "state": "packing"}
        if self.fault == "other answers":
            return 200, {"id": f"{number}-{time.monotonic_ns()}", "state": "packed"}
        if self.fault == "no answer":
            return 500, {"detail": "the scanner is broken"}
        return 200, {"id": number, "state": "broken" if self.fault == "refuses" else "packed"}


class Desk(JsonHandler, BaseHTTPRequestHandler):
    server: Packer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            good = isinstance(json.loads(body)["city"], str)
        except (ValueError, LookupError, TypeError):
            good = False
        self.reply(*(self.server.pack(self.headers["Idempotency-Key"]) if good else (400, {"detail": "no city"})))

    def do_GET(self) -> None:
        if self.path == "/":
            self.reply(200, [each for each, packed_at in self.server.parcels.items() if packed_at is not None])
        else:
            self.reply(*self.server.answer(self.path.rsplit("/", 1)[-1]))

    def do_DELETE(self) -> None:
        with self.server.lock:
            self.server.parcels[self.path.rsplit("/", 1)[-1]] = None
        self.reply(200, {})


@pytest.fixture
def packer() -> Iterator[Packer]:
    server = Packer()
    with serving(server):
        yield server


def conform(packer: Packer, *options: str, sagas: Path = SAGAS) -> Result:
    url = f"http://{HOST}:{packer.server_address[1]}"
    return CliRunner().invoke(
        command_line(), ["conform", "parcel.pack", "--url", url, "--sagas", str(sagas), *(options or ["--json"])]
    )  # fmt: skip


@pytest.fixture
def hasty(tmp_path: Path) -> Path:
    """Return a folder whose table allows one second for the answer."""
    table = (SAGAS / "parcel.py").read_text()
    assert "within_s=60" in table
    (tmp_path / "hasty_parcel.py").write_text(table.replace("within_s=60", "within_s=1"))
    return tmp_path


def broken(result: Result) -> dict[str, str]:
    lines = json.loads(result.stdout)["lines"]
    return {line["name"]: line["why"] for line in lines if line["verdict"] == "not kept" and "poll" in line["name"]}


def test_participant_that_is_asked_keeps_the_lines_of_the_poll(packer):
    result = conform(packer)
    kept = {line["name"]: line["verdict"] for line in json.loads(result.stdout)["lines"] if "poll" in line["name"]}
    assert kept == {"poll": "kept", "poll-unknown": "kept", "poll-undone": "kept"}, result.output
    assert result.exit_code == 0


@pytest.mark.parametrize(("fault", "line", "words"), [
    ("refuses", "poll", "accepted and then refused"),
    ("no answer", "poll", "does not say if it is pending, done or refused: 500"),
    ("other answers", "poll", "a poll after the answer gets another answer"),
    ("unknown is packed", "poll-unknown", "answered as done"),
    ("unknown is pending", "poll-unknown", "the saga would wait in vain"),
    ("undone is packed", "poll-undone", "the poll still says that it is done"),
])  # fmt: skip
def test_planted_fault_of_a_poll_is_found_on_its_own_line(packer, fault, line, words):
    packer.fault = fault
    found = broken(conform(packer))
    assert list(found) == [line]
    assert words in found[line]


def test_polls_that_never_end_within_the_time_of_the_table_break_the_line(packer, hasty):
    packer.fault = "never"
    result = conform(packer, sagas=hasty)
    assert result.exit_code == 1, result.output
    assert max(packer.polls.values()) < 50, "the time of the table bounds the wait"
    assert broken(result) == {
        "poll": "the answer is still pending, and no poll brings it within the 1 s of the table"
    }  # fmt: skip


def test_polls_that_outlast_the_patience_are_not_tried_and_no_kind_is_promised(packer):
    packer.fault = "never"
    result = conform(packer, "--patience", "0.1", "--look", "/")
    assert max(packer.polls.values()) < 50, "the patience bounds every wait, those before a look, too"
    assert "no poll brings it within 0.1 s, and the table allows 60 s; give --patience 60" in result.stdout
    assert "not tried  poll-undone" in result.stdout
    assert "so its kind is not known: see poll, poll-undone." in result.stdout
    assert result.exit_code == 0


def test_undone_poll_that_stays_pending_for_the_patience_is_not_tried(packer):
    packer.fault = "undone is pending"
    result = conform(packer, "--patience", "1")
    assert "kept       poll  " in result.stdout
    assert "not tried  poll-undone" in result.stdout
