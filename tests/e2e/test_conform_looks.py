"""`saga conform --look` at a participant that also does an earlier step of the saga."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli.__main__ import command_line
from tests.support.json_server import JsonHandler, serving
from tests.support.waiting import HOST

TABLE = """
from machines import Saga, compensatable, integer, post, text

SEAT = Saga(
    name="seat", version=1, initial="ASKED", completed="PAID", compensated="CALLED_OFF",
    data={"city": text(example="Oslo")}, participants=("airline",),
    steps=(
        compensatable("hold", post("airline", "/holds", city="city", keeps={"id": integer()}),
                      undo=post("airline", "/undo"), done="HELD", refused="NO_SEAT"),
        compensatable("pay", post("airline", "/payments", hold="hold.id"), undo=post("airline", "/undo"), done="PAID",
                      refused="NOT_PAID"),
    ),
)
"""


class Airline(ThreadingHTTPServer):
    """Holds seats, and takes payments, which change the state of a held seat."""

    def __init__(self) -> None:
        super().__init__((HOST, 0), Desk)
        self.lock = threading.Lock()
        #: Idempotency key → the seat that the call has held, or the seat that it has paid.
        self.holds: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.undone: set[str] = set()
        #: Largest body that is taken, in bytes.
        self.largest = sys.maxsize

    def post(self, path: str, key: str, body: Any) -> tuple[int, Any]:
        with self.lock:
            if path == "/undo":
                action = f"{key.removesuffix('undo')}do"
                self.undone.add(action)
                self.holds.pop(action, None)
                if paid := self.payments.pop(action, None):
                    paid["state"] = "held"
                return 200, {}
            if key in self.undone:
                return 410, {"detail": "undone"}
            if path == "/holds":
                return 201, self.holds.setdefault(key, {"id": len(self.holds) + len(self.undone) + 1, "state": "held"})
            held = next((each for each in self.holds.values() if each["id"] == body.get("hold")), None)
            if held is None:
                return 400, {"detail": "there is no such hold"}
            held["state"] = "paid"
            self.payments[key] = held
            return 201, {}


class Desk(JsonHandler, BaseHTTPRequestHandler):
    server: Airline
    #: True: the connection is closed when the next request comes on it.
    closes = False

    def do_POST(self) -> None:
        if self.closes:
            self.close_connection = True
            return
        length = int(self.headers.get("Content-Length") or 0)
        if length > self.server.largest:
            self.rfile.read(length)
            self.reply(413, {"detail": "too large"})
            self.closes = True
            return
        try:
            body = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError):
            body = None
        key = self.headers["Idempotency-Key"]
        good = isinstance(body, dict)
        self.reply(*(self.server.post(self.path, key, body) if good else (400, {"detail": "no object"})))

    def do_GET(self) -> None:
        if self.closes:
            self.close_connection = True
            return
        with self.server.lock:
            holds, payments = list(self.server.holds.values()), list(self.server.payments)
        self.reply(200, {"holds": holds, "payments": payments} if self.path == "/all" else holds)


@pytest.fixture
def airline() -> Iterator[Airline]:
    server = Airline()
    with serving(server):
        yield server


@pytest.fixture(scope="module")
def sagas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looks")
    (folder / "conform_looks.py").write_text(TABLE)
    return folder


@pytest.fixture
def conform(airline, sagas):
    def tried(look: str) -> dict[str, tuple[str, str]]:
        url = f"http://{HOST}:{airline.server_address[1]}"
        looks = ["--look", look] if look else []
        arguments = ["conform", "seat.pay", "--url", url, *looks, "--json", "--sagas", str(sagas)]
        result = CliRunner().invoke(command_line(), arguments)
        assert result.stdout, result.output
        return {line["name"]: (line["verdict"], line["why"]) for line in json.loads(result.stdout)["lines"]}

    return tried


def test_look_counts_the_effects_of_the_call_beside_those_of_an_earlier_step(conform):
    found = conform("/all")
    assert [name for name, (verdict, _) in found.items() if verdict == "not kept"] == []
    assert found["same-key"] == found["at-once"] == ("kept", "")


def test_look_that_shows_no_effect_of_its_own_is_explained_and_not_a_fault(conform):
    found = conform("/holds")
    assert [name for name, (verdict, _) in found.items() if verdict == "not kept"] == []
    assert found["done"] == ("kept", "")
    verdict, why = found["same-key"]
    assert verdict == "not tried"
    assert "--look /holds shows the effects of the earlier step hold, which is at the same participant" in why


def test_earlier_steps_are_undone_after_each_line(conform, airline):
    conform("/all")
    assert (airline.holds, airline.payments) == ({}, {})


@pytest.mark.parametrize("look", ["", "/all"])
def test_connection_that_is_closed_after_a_413_is_no_fault_with_and_without_a_look(conform, airline, monkeypatch, look):
    monkeypatch.setattr(Desk, "protocol_version", "HTTP/1.1")
    airline.largest = 100_000
    found = conform(look)
    assert (found["huge-body"], found["slow-client"][0]) == (("kept", ""), "kept")
