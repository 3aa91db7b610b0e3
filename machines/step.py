"""The four kinds of step, each with a constructor that takes its columns."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TypedDict, Unpack

from machines.call import Call
from machines.references import split
from machines.retry import PERSISTENT, Retry


class Kind(StrEnum):
    READ = "read"
    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of the table as written. Each constructor takes the columns that its kind has."""

    #: Name, unique in the table; part of the idempotency key.
    name: str
    #: read, compensatable, pivot or retriable.
    kind: Kind
    #: Call that carries the step out.
    call: Call
    #: State after the step has succeeded.
    done: str
    #: State after a refusal; None where there is no way back.
    refused: str | None = None
    #: State in which the call is in flight; None: the state in which the step before ended.
    doing: str | None = None
    #: Call that compensates the step.
    undo: Call | None = None
    #: State in which `undo` is in flight.
    undoing: str | None = None
    #: Call that reads the outcome of an attempt in doubt. Its reply has the fields of the reply to `call`, unless the
    #: probe has its own `keeps`.
    probe: Call | None = None
    #: True: the participant answers a repeated idempotency key with the reply that it gave first. Then `undo` may refer
    #: to the step's own reply: when that reply is lost, the call is sent again to get it.
    repeatable: bool = False
    #: Retries of the call.
    retry: Retry = Retry()
    #: Longest time for one attempt, in seconds.
    timeout_s: float = 5.0
    #: Longest expected stay in one of the step's states, in seconds; after that a person should look.
    dwell_s: float = 300.0

    @cached_property
    def undo_needs_reply(self) -> bool:
        """True when the undo refers to the step's own reply."""
        return self.undo is not None and any(split(each)[0] == self.name for each in self.undo.references)

    @property
    def recovery(self) -> Call | None:
        """The call that gets a lost reply of the step again: the probe or the repeated call; None: there is neither."""
        return self.probe or (self.call if self.repeatable else None)


class StepColumns(TypedDict, total=False):
    """Columns that every kind of step may have."""

    doing: str
    retry: Retry
    timeout_s: float
    dwell_s: float


class EffectStepColumns(StepColumns, total=False):
    """Columns that only a step with an effect may have."""

    probe: Call
    repeatable: bool


def read(name: str, call: Call, *, done: str, refused: str | None = None, **columns: Unpack[StepColumns]) -> Step:
    """Return a step that changes nothing and can be repeated. After a pivot it has no `refused` state."""
    return Step(name=name, kind=Kind.READ, call=call, done=done, refused=refused, **columns)


def compensatable(
    name: str,
    call: Call,
    *,
    undo: Call,
    done: str,
    refused: str,
    undoing: str = "",
    **columns: Unpack[EffectStepColumns],
) -> Step:
    """Return a step whose effect the call `undo` takes back; the undo is in flight in the state `undoing`."""
    undoing = undoing or f"UNDOING_{str(name).upper()}"  # str: check() refuses a name that is no text
    return Step(
        name=name,
        kind=Kind.COMPENSATABLE,
        call=call,
        undo=undo,
        undoing=undoing,
        done=done,
        refused=refused,
        **columns,
    )


def pivot(name: str, call: Call, *, done: str, refused: str, **columns: Unpack[EffectStepColumns]) -> Step:
    """Return the point of no return: after its success the saga only goes forward."""
    return Step(name=name, kind=Kind.PIVOT, call=call, done=done, refused=refused, **columns)


def retriable(name: str, call: Call, *, done: str, **columns: Unpack[EffectStepColumns]) -> Step:
    """Return a step that must succeed in the end: it is retried until it succeeds or a person decides."""
    return Step(name=name, kind=Kind.RETRIABLE, call=call, done=done, **({"retry": PERSISTENT} | columns))
