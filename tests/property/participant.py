"""One service that is every participant of a random table. It obeys the contract, but its network has faults."""

import itertools
from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from app.calls.client import Request
from machines.replies import Reply


class Fault(StrEnum):
    """A fault of one sending of a call."""

    NONE = "none"
    REFUSES = "refuses"
    LEAVES = "refuses with status 422, and leaves something behind where the table says so"
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
    LEFT = "refused, with something left behind"
    UNDONE = "undone"
    TOMBSTONE = "undone before it was done"


@dataclass
class Entry:
    was: ActionState
    request: tuple[str, Any] | None
    #: The state after the first request.
    first: ActionState


@dataclass(frozen=True)
class Effect:
    """An effect at a participant."""

    saga: str
    step: str
    #: The direction of the call: `do` or `undo`.
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
    #: The number of the next read. Each reply to a read contains another number.
    looks: itertools.count = field(default_factory=itertools.count)
    #: The names of the steps whose ids the participant chooses (`own_ids`), and of the steps whose refusal leaves
    #: something behind (`leaving`).
    own_ids: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()
    #: The URL for the later answer of each action, by `saga/step`.
    reply_urls: dict[str, str] = field(default_factory=dict)
    #: The idempotency keys of all calls that were sent, whether they arrived or not.
    called: set[str] = field(default_factory=set)
    #: True after `Fault.ALREADY`: a repeated action is refused when the action was done before.
    refuses_repeats: bool = False

    def send(self, request: Request) -> Reply:
        self.called.add(request.headers["Idempotency-Key"])
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if fault in _UNHEARD:
            return _UNHEARD[fault]
        if fault in (Fault.LOSES_REQUEST, Fault.DELAYS):
            self.late += [request] * (fault is Fault.DELAYS)
            return LOST
        done_before = self._has_done(request)
        reply = self.answer(request, refuses=fault is Fault.REFUSES, leaves=fault is Fault.LEAVES)
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
        """Remove the faults of the next sendings. End the fault `ALREADY`, which lasts longer than one sending."""
        self.faults.clear()
        self.refuses_repeats = False

    def answer(self, request: Request, *, refuses: bool = False, leaves: bool = False) -> Reply:
        """Do what the request asks for, and return the reply."""
        saga, step, direction = request.headers["Idempotency-Key"].split("/")
        refuses |= leaves and (step not in self.leaving or direction == "undo")
        if url := request.headers.get("Saga-Reply-To"):
            self.reply_urls[f"{saga}/{step}"] = url
        if "/poll/" in request.url:
            return self.later_answer(saga, step) or Reply(status=202, body={})
        if "/probe/" in request.url:
            return self._did(saga, step)
        if request.method == "GET":
            # Each read has a new reply. So the test notices a retry that uses another read than its first attempt.
            return UNKNOWN if refuses else Reply(status=200, body={"id": f"look-{next(self.looks)}"})
        if direction == "undo":
            return REFUSED if refuses else self._undo(saga, step, request)
        return self._act(saga, step, request, _first_state(refuses=refuses, leaves=leaves))

    def _act(self, saga: str, step: str, request: Request, first: ActionState) -> Reply:
        """Do an action at its first request, and answer every request with its key.

        After the undo, a participant with own ids repeats its first reply. Any other participant answers 410, as the
        barrier does.
        """
        entry = self.ledger.get(f"{saga}/{step}")
        if entry is None and first is ActionState.REFUSED and request.url.endswith("/must"):
            return REFUSED  # not stored, because a step that must succeed in the end can be retried
        if entry is None:
            entry = self.ledger[f"{saga}/{step}"] = Entry(first, _words(request), first)
            if first is not ActionState.REFUSED:
                self.effects.append(Effect(saga, step, "do"))
        said = entry.first if step in self.own_ids else entry.was
        if said in (ActionState.UNDONE, ActionState.TOMBSTONE):
            return GONE
        assert entry.request in (None, _words(request)), f"{saga}/{step} came with another request before"
        if said is ActionState.REFUSED:
            return REFUSED
        return Reply(status=200 if said is ActionState.DONE else 422, body={"id": own_id(saga, step)})

    def _undo(self, saga: str, step: str, request: Request) -> Reply:
        """Undo an action. The request names the action by the id that the participant chose, or by the key."""
        by_id = step in self.own_ids
        return UNKNOWN if by_id and not request.url.endswith(own_id(saga, step)) else self.undo(saga, step)

    def _has_done(self, request: Request) -> bool:
        """Return True when the request repeats an action that was done before."""
        saga, step, _ = request.headers["Idempotency-Key"].split("/")
        entry = self.ledger.get(f"{saga}/{step}")
        return request.url.endswith(("/do", "/must")) and entry is not None and entry.was is ActionState.DONE

    def undo(self, saga: str, step: str) -> Reply:
        entry = self.ledger.setdefault(f"{saga}/{step}", Entry(ActionState.TOMBSTONE, None, ActionState.TOMBSTONE))
        if entry.was in (ActionState.DONE, ActionState.LEFT):
            entry.was = ActionState.UNDONE
            self.effects.append(Effect(saga, step, "undo"))
        return Reply(status=200, body={})

    def _did(self, saga: str, step: str) -> Reply:
        entry = self.ledger.get(f"{saga}/{step}")
        return (
            Reply(status=200, body={"id": own_id(saga, step)}) if entry and entry.was is ActionState.DONE else UNKNOWN
        )

    def later_answer(self, saga: str, step: str) -> Reply | None:
        """Return the true answer to an accepted call; None when the participant has not got the call."""
        entry = self.ledger.get(f"{saga}/{step}")
        if entry is None:
            return None
        if entry.was is ActionState.DONE:
            return Reply(status=200, body={"id": own_id(saga, step)})
        return REFUSED if entry.was is ActionState.REFUSED else GONE

    def by_hand(self, saga: str, step: str, direction: str) -> None:
        """Make the effect that an operator makes by hand before a resolve."""
        if direction == "undo":
            self.undo(saga, step)
            return
        entry = self.ledger.setdefault(f"{saga}/{step}", Entry(ActionState.REFUSED, None, ActionState.REFUSED))
        if entry.was is not ActionState.DONE:
            entry.was = ActionState.DONE
            self.effects.append(Effect(saga, step, direction))

    def deliver(self, which: int) -> None:
        """Deliver one of the delayed requests. No process reads its reply."""
        if self.late:
            self.answer(self.late.pop(which % len(self.late)))


def _first_state(*, refuses: bool, leaves: bool) -> ActionState:
    return ActionState.REFUSED if refuses else ActionState.LEFT if leaves else ActionState.DONE


def own_id(saga: str, step: str) -> str:
    """Return the id that the participant chooses for an action."""
    return f"{step}-of-{saga}"


def _words(request: Request) -> tuple[str, Any]:
    return request.url, request.body
