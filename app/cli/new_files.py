"""The files that `saga new` writes. `$name` is the name of the saga, `$constant` the same in capitals.

docs/examples/own-repository has the same files: change both together.
"""

TABLE = '''"""The saga $name: reserve, pay, confirm. Change the steps; docs/tables.md has every word."""

from machines import Saga, compensatable, pivot, post, retriable, text

$constant = Saga(
    name="$name",
    version=1,
    initial="ASKED",
    completed="CONFIRMED",
    compensated="CALLED_OFF",
    data={"customer": text(example="Ada")},
    client="customer",
    participants=("shop",),
    steps=(
        compensatable(
            "reserve",
            post("shop", "/reservations", customer="customer"),
            undo=post("shop", "/reservations/undo"),
            done="RESERVED",
            refused="NOT_RESERVED",
        ),
        pivot("pay", post("shop", "/payments", customer="customer"), done="PAID", refused="NOT_PAID"),
        retriable("confirm", post("shop", "/confirmations", customer="customer"), done="CONFIRMED"),
    ),
)
'''

TEST = '''"""The saga $name, without a database, a server or a participant: see docs/testing.md of saga-orchestrator."""

from pathlib import Path

import pytest

from machines.discovery import discover
from machines.testing import every_outcome, given, lost, refused

TABLE = discover(str(Path(__file__).resolve().parents[1] / "sagas")).latest("$name")


def test_every_step_succeeds():
    saga = given(TABLE).run()
    assert saga.calls == ["reserve", "pay", "confirm"]
    assert saga.ended == "CONFIRMED"


def test_refused_payment_gives_the_reservation_back():
    saga = given(TABLE).when(pay=refused("NO_MONEY")).run()
    assert saga.calls == ["reserve", "pay", "undo reserve"]
    assert (saga.ended, saga.took_effect) == ("CALLED_OFF", [])


def test_lost_reply_is_asked_for_again():
    assert given(TABLE).when(reserve=lost).run().calls == ["reserve", "reserve", "pay", "confirm"]


@pytest.mark.parametrize("scenario", every_outcome(TABLE))
def test_saga_that_was_called_off_leaves_nothing(scenario):
    saga = scenario.run()
    assert saga.ended != "CALLED_OFF" or saga.took_effect == []
'''

PARTICIPANT = '''"""A participant for trying out, on PORT (8100). It keeps in memory what it did, by idempotency key.

A real participant keeps its keys in its database, in the transaction of the effect. Replace this file by your service.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

#: Idempotency key -> path, body, status and reply of the first request with this key.
ANSWERS: dict[str, tuple[str, dict[str, object], int, dict[str, object]]] = {}
LOCK = Lock()


def answer(key: str, path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
    """Return status and reply; the same for a repeated key, and 422 when the key was used for another request.

    An action that comes after its undo is refused, also when it was done before the undo.
    """
    with LOCK:
        if key.endswith("/do") and key.removesuffix("do") + "undo" in ANSWERS:
            return 410, {"detail": "it was undone before"}
        if key in ANSWERS:
            known_path, known_body, status, reply = ANSWERS[key]
            if (path, body) != (known_path, known_body):
                return 422, {"detail": "the Idempotency-Key was used for another request"}
            return status, reply
        print(f"{path} {json.dumps(body)}", flush=True)  # the effect
        reply: dict[str, object] = {"number": len(ANSWERS) + 1}
        ANSWERS[key] = path, body, 201, reply
        return 201, reply


class Participant(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(sent)
        except (ValueError, RecursionError):  # no JSON, or nested too deeply
            body = None
        key = self.headers.get("Idempotency-Key")
        if not key or not isinstance(body, dict):
            status, reply = 400, {"detail": "send a JSON object and an Idempotency-Key"}
        else:
            status, reply = answer(key, self.path, body)
        text = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing for each request; `answer` prints the effects."""


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8100"))
    print(f"listening on {port}", file=sys.stderr, flush=True)
    ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), port), Participant).serve_forever()
'''

DOCKERFILE = """FROM saga-orchestrator:$image
COPY sagas /sagas
RUN ["saga", "check"]
"""
