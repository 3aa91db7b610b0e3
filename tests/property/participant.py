"""One service that is every participant of a random table. It keeps the contract, but its network has faults."""

import itertools
from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from app.calls.client import Request
from app.calls.outcome import Reply


class Fault(StrEnum):
    """A fault of one sending of a call."""

    NONE = "none"
    REFUSES = "refuses"
    FAILS_BEFORE = "answers 500 and has done nothing"
    FAILS_AFTER = "answers 500 and has done it"
    LOSES_REPLY = "loses the reply"
    LOSES_REQUEST = "loses the request"
    DELAYS = "delivers the request when nobody waits for it any more"
    UNREACHABLE = "is not reachable"
    UNREADABLE = "answers what is no JSON"
    SHORT = "answers without the fields that later calls need"
    ALREADY = "refuses from now on what it has done before: it is done already"
    ACCEPTS = "accepts it with a 202, and does it"
    TURNS_AWAY = "has a gateway that turns calls away"
    ASKS_TO_WAIT = "does it, and answers 503 with Retry-After"


class ActionState(StrEnum):
    """The state of an action in the ledger."""

    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"
    TOMBSTONE = "undone before it was done"


@dataclass
class Entry:
    was: ActionState
    request: tuple[str, Any] | None


@dataclass(frozen=True)
class Effect:
    """An effect at a participant."""

    saga: str
    step: str
    #: `do` or `undo`.
    direction: str


LOST = Reply(error="the connection was lost before the answer")
REFUSED = Reply(status=409, body={"detail": "no"})
GONE = Reply(status=410, body={"detail": "undone"})
UNKNOWN = Reply(status=404, body={"detail": "no such thing"})
_UNHEARD = {
    Fault.UNREACHABLE: Reply(error="no connection could be made", sent=False),
    Fault.TURNS_AWAY: Reply(status=401),
    Fault.FAILS_BEFORE: Reply(status=500, body={}),
}


@dataclass
class Participant:
    """The participants and their network."""

    #: The faults of the next sendings.
    faults: deque[Fault] = field(default_factory=deque)
    #: Delayed requests that have not arrived yet.
    late: list[Request] = field(default_factory=list)
    #: All effects so far, in order.
    effects: list[Effect] = field(default_factory=list)
    #: The entry of each action, by `saga/step`.
    ledger: dict[str, Entry] = field(default_factory=dict)
    #: Numbers the reads, so that no two reads have the same reply.
    looks: itertools.count = field(default_factory=itertools.count)
    #: True after `Fault.ALREADY`: an action that was done before is refused when it is repeated.
    refuses_repeats: bool = False

    def send(self, request: Request) -> Reply:
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if fault in _UNHEARD:
            return _UNHEARD[fault]
        if fault in (Fault.LOSES_REQUEST, Fault.DELAYS):
            self.late += [request] * (fault is Fault.DELAYS)
            return LOST
        done_before = self._has_done(request)
        reply = self.answer(request, refuses=fault is Fault.REFUSES)
        if fault is Fault.SHORT:
            return replace(reply, body={})
        if fault is Fault.UNREADABLE:
            return replace(reply, body=None)
        self.refuses_repeats |= fault is Fault.ALREADY
        if self.refuses_repeats and done_before:
            return REFUSED
        replies = {
            Fault.FAILS_AFTER: Reply(status=500, body={}),
            Fault.LOSES_REPLY: LOST,
            Fault.ACCEPTS: Reply(status=202, body={"id": "later"}),
            Fault.ASKS_TO_WAIT: Reply(status=503, retry_after_s=1.0),
        }
        return replies.get(fault, reply)

    def has_no_faults(self) -> None:
        """Remove the faults of the next sendings, and end the lasting fault `ALREADY`."""
        self.faults.clear()
        self.refuses_repeats = False

    def answer(self, request: Request, *, refuses: bool = False) -> Reply:
        """Do what the request says, with the rules of the barrier."""
        saga, step, direction = request.headers["Idempotency-Key"].split("/")
        if "/probe/" in request.url:
            return self._did(saga, step)
        if request.method == "GET":
            # Each read has a new reply, so a retry that is built from another read than its first attempt is found.
            return UNKNOWN if refuses else Reply(status=200, body={"id": f"look-{next(self.looks)}"})
        if direction == "undo":
            return REFUSED if refuses else self.undo(saga, step)
        entry = self.ledger.get(f"{saga}/{step}")
        if entry is None and refuses and request.url.endswith("/must"):
            return REFUSED  # not stored, because a step that must succeed in the end can be retried
        if entry is None:
            entry = Entry(ActionState.REFUSED if refuses else ActionState.DONE, _words(request))
            self.ledger[f"{saga}/{step}"] = entry
            if not refuses:
                self.effects.append(Effect(saga, step, direction))
        if entry.was in (ActionState.UNDONE, ActionState.TOMBSTONE):
            return GONE
        assert entry.request in (None, _words(request)), f"{saga}/{step} came with another request before"
        return REFUSED if entry.was is ActionState.REFUSED else self._did(saga, step)

    def _has_done(self, request: Request) -> bool:
        """Return True when the request is an action that was done before this request."""
        saga, step, _ = request.headers["Idempotency-Key"].split("/")
        entry = self.ledger.get(f"{saga}/{step}")
        return request.url.endswith(("/do", "/must")) and entry is not None and entry.was is ActionState.DONE

    def undo(self, saga: str, step: str) -> Reply:
        entry = self.ledger.setdefault(f"{saga}/{step}", Entry(ActionState.TOMBSTONE, None))
        if entry.was is ActionState.DONE:
            entry.was = ActionState.UNDONE
            self.effects.append(Effect(saga, step, "undo"))
        return Reply(status=200, body={})

    def _did(self, saga: str, step: str) -> Reply:
        entry = self.ledger.get(f"{saga}/{step}")
        return Reply(status=200, body={"id": f"{step}-1"}) if entry and entry.was is ActionState.DONE else UNKNOWN

    def by_hand(self, saga: str, step: str, direction: str) -> None:
        """Make the effect that an operator makes by hand before resolving the saga."""
        if direction == "undo":
            self.undo(saga, step)
            return
        entry = self.ledger.setdefault(f"{saga}/{step}", Entry(ActionState.REFUSED, None))
        if entry.was is not ActionState.DONE:
            entry.was = ActionState.DONE
            self.effects.append(Effect(saga, step, direction))

    def deliver(self, which: int) -> None:
        """Deliver one of the delayed requests. No process reads its reply."""
        if self.late:
            self.answer(self.late.pop(which % len(self.late)))


def _words(request: Request) -> tuple[str, Any]:
    return request.url, request.body
