"""The rules of the barrier, without any framework and database: the standard library alone.

`barrier.py` puts them behind views of Flask, and `dbapi.py` behind any web framework with a PostgreSQL driver. To use
only the latter, copy `rules.py` and `dbapi.py`. The package in node/ keeps the same rules.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, Self

_NAME = "[A-Za-z0-9._:~-]{1,100}"
_KEY = re.compile(f"({_NAME})/({_NAME})/(do|undo)")


class Direction(StrEnum):
    DO = "do"
    UNDO = "undo"


class State(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    #: The action was done and then undone.
    UNDONE = "undone"
    #: The undo arrived before the action. The action is refused when it arrives.
    TOMBSTONE = "tombstone"


@dataclass(frozen=True, kw_only=True)
class Key:
    """The idempotency key of a call: the saga, the step, and the direction."""

    saga_id: str
    step: str
    direction: Direction

    def __str__(self) -> str:
        return f"{self.saga_id}/{self.step}/{self.direction}"

    @property
    def of_action(self) -> Self:
        """The key of the action that an undo reverses."""
        return type(self)(saga_id=self.saga_id, step=self.step, direction=Direction.DO)

    @classmethod
    def parse(cls, text: str, direction: Direction) -> Self | None:
        """Return the key in a header's text; None when the text is no key of this direction."""
        found = _KEY.fullmatch(text)
        if found is None or found[3] != direction:
            return None
        return cls(saga_id=found[1], step=found[2], direction=direction)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The answer to a call, as the ledger keeps it."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Done:
    """The recorded request and reply of an action that was done."""

    request: dict[str, Any]
    reply: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of the ledger. A tombstone has no request, no fingerprint and no reply."""

    state: State
    fingerprint: str | None
    request: dict[str, Any] | None
    reply: Recorded | None


class Refusal(Exception):  # noqa: N818  a refusal is an answer
    """A refusal for a business reason. The call has changed nothing."""

    status: int
    document: dict[str, Any]


class Rows(Protocol):
    """The rows of the ledger in the transaction of the call."""

    def add(self, key: Any, state: State, epoch: int | None, **request: Any) -> bool:
        """Insert the key's row. Return False when the key has a row. Wait while another call inserts the same key."""
        ...

    def find(self, key: Any) -> Entry | None: ...

    def record(self, key: Any, state: State, reply: Any) -> None: ...

    def mark_undone(self, key: Any) -> None: ...

    def savepoint(self) -> AbstractContextManager[Any]:
        """Return a context that rolls back what was changed inside it when it is left with an exception."""
        ...


#: Returns the exception that ends the call with a status, a title and a detail.
ProblemOf = Callable[[int, str, str], Exception]

_NEVER_DONE = Recorded(status=200, body={"undone": False, "reason": "never done"})
_WAS_REFUSED = Recorded(status=200, body={"undone": False, "reason": "was refused"})


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the barrier answers. Each method runs inside one transaction of the caller, and returns the answer.

    The second result is True when the answer was recorded before.
    """

    rows: Rows
    problem: ProblemOf

    def do(
        self, key: Key, epoch: int | None, body: dict[str, Any], fingerprint: str, act: Callable[[], Recorded], *,
        record_refusals: bool,
    ) -> tuple[Recorded, bool]:  # fmt: skip
        """Do an action once."""
        if not self.rows.add(key, State.DONE, epoch, request=body, fingerprint=fingerprint):
            return self._repeated(key, fingerprint), True
        state = State.DONE
        try:
            # A savepoint: a refusal rolls back the changes of the action and keeps the row of the ledger.
            with self.rows.savepoint():
                reply = act()
        except Refusal as refusal:
            if not record_refusals:
                raise
            state, reply = State.REFUSED, Recorded(status=refusal.status, body=refusal.document)
        self.rows.record(key, state, reply)
        return reply, False

    def undo(self, key: Key, epoch: int | None, act: Callable[[Done], Recorded]) -> tuple[Recorded, bool]:
        """Undo an action once. The payload of an undo is ignored, so its duplicates can have different payloads."""
        if not self.rows.add(key, State.DONE, epoch):
            return self._recorded(key), True
        reply = self._undo(key.of_action, epoch, act)
        self.rows.record(key, State.DONE, reply)
        return reply, False

    def outcome(self, key: Key) -> Recorded:
        """Return the recorded answer of an action. 404 means that it has not arrived; it can still arrive."""
        entry = self.rows.find(key)
        if entry is None:
            raise self.problem(404, "Not done", f"{key} has not been done")
        if entry.state in {State.TOMBSTONE, State.UNDONE}:
            raise self._undone(key)
        return self._recorded(key)

    def _repeated(self, key: Key, fingerprint: str) -> Recorded:
        entry = self._entry(key)
        if entry.state in {State.TOMBSTONE, State.UNDONE}:
            raise self._undone(key)
        if entry.fingerprint != fingerprint:
            raise self.problem(422, "Idempotency key reused", f"{key} came with another request before")
        return self._recorded(key)

    def _undo(self, action: Key, epoch: int | None, act: Callable[[Done], Recorded]) -> Recorded:
        if self.rows.add(action, State.TOMBSTONE, epoch):
            return _NEVER_DONE
        # The action's row needs no lock: only its undo changes the row. Two calls of that undo never run at the same
        # time, because the second one waits for the first one's ledger row.
        entry = self._entry(action)
        if entry.state is State.REFUSED:
            return _WAS_REFUSED
        assert entry.request is not None
        assert entry.reply is not None, f"the view of {action} has committed by itself"
        reply = act(Done(request=entry.request, reply=entry.reply.body))
        self.rows.mark_undone(action)
        return reply

    def _entry(self, key: Key) -> Entry:
        entry = self.rows.find(key)
        assert entry is not None, f"the row of {key} has gone"
        return entry

    def _recorded(self, key: Key) -> Recorded:
        reply = self._entry(key).reply
        assert reply is not None, f"the view of {key} has committed by itself"
        return reply

    def _undone(self, key: Key) -> Exception:
        return self.problem(410, "Undone", f"{key} has been undone and will not be done any more")
