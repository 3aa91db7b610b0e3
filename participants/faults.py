"""Faults on order for the demo and the tests: a participant is slow, fails, refuses, or loses its reply.

A fault acts around the view and never inside it, so the view's changes to the database are always the same.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from marshmallow import RAISE, Schema, fields, post_load, validate

from participants.barrier import HEADER, Direction, Problem
from participants.payloads import read_body


@dataclass(kw_only=True)
class Fault:
    """A fault of one participant. A fault never refuses an undo."""

    kind: str  # slow, fail, refuse or lose_reply
    path: str  # prefix of the affected paths, below the participant's own prefix
    method: str | None  # None: any method
    times: int | None  # number of affected calls; None: until the fault is cleared
    seconds: float  # delay of a slow call

    def hits(self, method: str, path: str, *, undoes: bool) -> bool:
        spared = undoes and self.kind == "refuse"
        return path.startswith(self.path) and self.method in (None, method) and not spared


class FaultBody(Schema):
    class Meta:
        # Refuse unknown fields: with a misspelled field, a fault would never happen, and a test would test nothing.
        unknown = RAISE

    kind = fields.String(required=True, validate=validate.OneOf(["slow", "fail", "refuse", "lose_reply"]))
    path = fields.String(load_default="/")
    method = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(["GET", "POST"]))
    times = fields.Integer(load_default=1, allow_none=True, strict=True, validate=validate.Range(min=1))
    seconds = fields.Float(load_default=0.3, validate=validate.Range(0, 60))

    @post_load
    def made(self, values: dict[str, Any], **_: Any) -> dict[str, Fault]:
        return {"fault": Fault(**values)}


class Faults:
    """The ordered faults, in the memory of the only worker process."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def take(self, method: str, path: str, *, undoes: bool = False) -> Fault | None:
        """Return the oldest fault that affects this request, and count it as used."""
        with self._lock:
            hits = (f for f in self._faults if f.hits(method, path, undoes=undoes))
            found = next(hits, None)
            if found is not None and found.times is not None:
                found.times -= 1
                if found.times == 0:
                    self._faults.remove(found)
            return found


def order_faults(app: Flask) -> None:
    """Add the routes that order faults to an app, and apply the faults to its calls."""
    faults = Faults()
    app.register_blueprint(_routes(faults))

    @app.before_request
    def before() -> None:
        if request.blueprint != app.name:
            return
        g.fault = faults.take(request.method, request.path, undoes=_undoes())
        match g.fault:
            case Fault(kind="slow", seconds=seconds):
                time.sleep(seconds)
            case Fault(kind="fail"):
                raise Problem(503, "Fault", "A simulated failure: nothing was done")
            case Fault(kind="refuse"):
                raise Problem(409, "Simulated refusal", "A simulated refusal: nothing was done")

    @app.after_request
    def after(response: Response) -> Response:
        match g.get("fault"):
            case Fault(kind="lose_reply"):
                return _cut_off()
        return response


def _routes(faults: Faults) -> Blueprint:
    routes = Blueprint("_faults", __name__, url_prefix="/_faults")

    @routes.post("")
    def add() -> tuple[dict[str, Any], int]:
        fault = read_body(FaultBody())["fault"]
        faults.add(fault)
        return asdict(fault), 201

    @routes.get("")
    def listed() -> list[dict[str, Any]]:
        return faults.listed()

    @routes.delete("")
    def clear() -> tuple[str, int]:
        faults.clear()
        return "", 204

    return routes


def _undoes() -> bool:
    return request.headers.get(HEADER, "").endswith(f"/{Direction.UNDO}")


def _cut_off() -> Response:
    """Return a response that announces more bytes than it sends, so that the server drops the connection."""

    def beginning() -> Iterator[bytes]:
        yield b'{"'

    return Response(beginning(), headers={"Content-Length": "1000"}, content_type="application/json")
