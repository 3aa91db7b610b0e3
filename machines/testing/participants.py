"""The participants of a saga in memory. They keep the contract of their kind (`machines.participant_kinds`).

One with the barrier does each key once, and nothing after its undo. One that keeps only keys does what comes after an
undo for the first time, and one that keeps nothing (`retry=NEVER`) does a call once for each request.
"""

from dataclasses import dataclass, field
from typing import Any

from machines.history import Effect
from machines.participant_kinds import ParticipantKind, kind_of
from machines.saga import Saga
from machines.step import EFFECTFUL, Step
from machines.testing.successes import done

#: Status and body of the answer to a call whose undo came first.
_GONE = (410, {"detail": "it was undone before"})


@dataclass(kw_only=True)
class Entry:
    """What one participant knows of one step."""

    #: How many times the step took effect, and how many of these effects were taken back.
    done: int = 0
    undone: int = 0
    #: True: the undo has arrived.
    closed: bool = False
    #: Status and body of the first reply; None: no request has arrived.
    first: tuple[int, Any] | None = None

    @property
    def standing(self) -> int:
        return self.done - self.undone


@dataclass(kw_only=True)
class Participants:
    """Every participant of one saga."""

    definition: Saga
    #: Step → what its participant knows.
    ledger: dict[str, Entry] = field(default_factory=dict)
    #: Step → body of its success, where the test gives one.
    bodies: dict[str, Any] = field(default_factory=dict)

    def entry(self, step: str) -> Entry:
        return self.ledger.setdefault(step, Entry())

    def do(self, step: Step, body: Any = None) -> tuple[int, Any]:
        """Do a step, and return status and body of the reply; the first reply for a repeated key.

        body: the body that the test gives; it is taken as it stands, also for a repeated key.
        """
        entry = self.entry(step.name)
        if step.kind not in EFFECTFUL:
            return self._answer(step, body)
        if entry.closed and kind_of(step) is ParticipantKind.BARRIER:
            return _GONE
        if entry.first is not None and kind_of(step) is not ParticipantKind.NONE:
            return entry.first if body is None or not entry.done else self._answer(step, body)
        entry.first = self._answer(step, body)
        entry.done += 1
        return entry.first

    def finish(self, step: Step, body: Any = None) -> tuple[int, Any]:
        """Do a step that was accepted, and return status and body of the reply to the poll that asks for it."""
        assert step.poll is not None
        self.do(step)
        given = self.bodies.get(step.name) if body is None else body
        return done(self.definition, step, step.poll, given)

    def refuse(self, step: Step, status: int, body: Any) -> tuple[int, Any]:
        """Refuse a step. A step that was done before is not undone by a refusal."""
        entry = self.entry(step.name)
        if entry.first is None and step.undo is not None:
            entry.first = (status, body)
        return status, body

    def undo(self, step: Step, body: Any = None) -> tuple[int, Any]:
        """Take a step back, also before it was done."""
        assert step.undo is not None
        entry = self.entry(step.name)
        entry.closed = True
        entry.undone = entry.done
        return done(self.definition, step, step.undo, body)

    def probe(self, step: Step) -> tuple[int, Any]:
        """Answer if a step was done: the reply of its success, or 404."""
        entry = self.entry(step.name)
        if entry.standing and entry.first is not None and step.probe is not None:
            return done(self.definition, step, step.probe, self.bodies.get(step.name))
        return 404, {"detail": "nothing was done"}

    def effect(self, step: Step) -> Effect:
        entry = self.entry(step.name)
        if entry.standing:
            return Effect.TOOK_EFFECT
        return Effect.UNDONE if entry.done else Effect.NOT_DONE

    def _answer(self, step: Step, body: Any) -> tuple[int, Any]:
        assert step.call is not None
        return done(self.definition, step, step.call, self.bodies.get(step.name) if body is None else body)
