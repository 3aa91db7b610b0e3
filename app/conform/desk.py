"""Listens for the answers that a participant sends later, at the URLs of `Saga-Reply-To`."""

import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from app.calls.request import Request
from app.values import UnreadableError, parsed
from machines.attempts import later_answer
from machines.outcomes import Outcome
from machines.replies import Reply, later_reply
from machines.saga import Saga
from machines.step import Step

_PATH = "replies"
_LARGEST_BODY = 1 << 20
_PROBLEM = "application/problem+json"
_OK, _OPEN, _MISTAKE, _UNKNOWN, _WRONG_METHOD, _OTHER, _GONE, _LATER = 200, 202, 400, 404, 405, 409, 410, 503


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer of the participant, and what the desk has said to it."""

    request: Request
    #: What the same reply to the call would have meant; None: in doubt, or not understood.
    outcome: Outcome | None
    #: The values that the table keeps.
    kept: Any
    #: Status that the desk has answered.
    status: int
    #: Why the answer is a mistake; "": it is none.
    problem: str
    #: When it came, on the clock of time.monotonic.
    at: float

    @property
    def is_taken(self) -> bool:
        return self.status == _OK

    def is_same(self, other: "Answer") -> bool:
        return self.outcome == other.outcome and (self.outcome is Outcome.REFUSED or self.kept == other.kept)


@dataclass(kw_only=True)
class _Expected:
    """One step whose answer is expected."""

    token: str
    answers: list[Answer] = field(default_factory=list)
    #: Number of answers that are refused with 503, so that the participant sends them again.
    turned_away: int = 0
    #: True after the undo: each answer gets 410.
    undone: bool = False


class Desk:
    """The answers to the calls of one step."""

    def __init__(self, definition: Saga, step: Step, address: tuple[str, int], public_url: str = "") -> None:
        """public_url: the base URL by which the participant reaches the desk; default: that of the address.

        Raise OSError when the address is in use.
        """
        self._definition, self._step = definition, step
        self._expected: dict[str, _Expected] = {}
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(address, _handler(self))
        self._server.daemon_threads = True
        host, port = self._server.server_address[:2]
        self.url = public_url or f"http://{host!s}:{port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url_of(self, saga_id: str) -> str:
        """Return the URL of a saga's step. It is the same at each attempt."""
        with self._changed:
            known = self._expected.setdefault(saga_id, _Expected(token=secrets.token_urlsafe(24)))
        return f"{self.url}/{_PATH}/{saga_id}/{self._step.name}/{known.token}"

    def turn_away(self, saga_id: str) -> None:
        """Refuse the next answer with 503."""
        with self._changed:
            self._expected[saga_id].turned_away = 1

    def undone(self, saga_id: str) -> None:
        """Refuse each further answer with 410, because the step is undone."""
        with self._changed:
            self._expected[saga_id].undone = True

    def answers(self, saga_id: str) -> list[Answer]:
        with self._changed:
            return list(self._expected[saga_id].answers)

    def wait(self, saga_id: str, number: int, timeout_s: float) -> list[Answer]:
        """Return the answers so far, when there are this many or the time is over."""
        expected = self._expected[saga_id]
        with self._changed:
            self._changed.wait_for(lambda: len(expected.answers) >= number, timeout_s)
            return list(expected.answers)

    def take(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> int:
        """Take a request to the desk. Return the status of the reply."""
        _, _, saga_id, _, token = (*path.split("/"), *[""] * 5)[:5]
        with self._changed:
            expected = self._expected.get(saga_id)
            if expected is None or not hmac.compare_digest(expected.token.encode(), token.encode("utf-8", "replace")):
                return _UNKNOWN
            outcome, kept, problem = self._read(method, headers, content)
            request = Request(
                participant="", method=method, url=self.url + path, headers=dict(headers), timeout_s=0.0,
                body=content.decode("utf-8", "replace") or None,
            )  # fmt: skip
            answer = Answer(request=request, outcome=outcome, kept=kept, status=0, problem=problem, at=time.monotonic())
            status = self._status(expected, answer)
            expected.answers.append(Answer(**{**vars(answer), "status": status}))
            self._changed.notify_all()
            return status

    def _read(self, method: str, headers: Mapping[str, str], content: bytes) -> tuple[Outcome | None, Any, str]:
        """Return the outcome of an answer, what it keeps, and why it is a mistake."""
        if method != "POST":
            return None, None, f"it is sent by {method}; send a POST"
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        raw = {name.lower().encode(): value.encode("latin-1", "replace") for name, value in headers.items()}
        try:
            body = parsed(content) if content else None
            reply = later_reply(body, raw, problem=kind == _PROBLEM)
        except UnreadableError as error:
            return None, None, f"its body is no JSON: {error}"
        except ValueError as error:
            return None, None, str(error)
        answer, lacking = later_answer(self._definition, self._step, reply)
        if lacking:
            return None, None, f"it lacks {', '.join(why or name for name, why in sorted(lacking.items()))}"
        return (None, None, "") if answer is None else (Outcome(answer["outcome"]), answer["reply"], "")

    def _status(self, expected: _Expected, answer: Answer) -> int:
        if answer.problem:
            return _WRONG_METHOD if answer.request.method != "POST" else _MISTAKE
        if expected.undone:
            return _GONE
        if answer.outcome is None:
            return _OPEN
        if expected.turned_away:
            expected.turned_away -= 1
            return _LATER
        first = next((each for each in expected.answers if each.is_taken), None)
        return _OK if first is None or first.is_same(answer) else _OTHER


def reply_of(answer: Answer) -> Reply:
    """Return what the desk has answered, for the report."""
    return Reply(status=answer.status, body={}, blank=True)


def _handler(desk: Desk) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def _take(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(min(size, _LARGEST_BODY))
            self.send_response(desk.take(self.command, self.path, dict(self.headers.items()), content))
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take  # noqa: N815  the names that http.server calls

        def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002  the parameter of http.server
            """Write no log."""

    return Handler
