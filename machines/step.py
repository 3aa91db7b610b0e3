"""The kinds of step, each with a constructor that takes its columns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, TypedDict, Unpack

from machines.amounts import Amount
from machines.call import Call, Means
from machines.children import Group, Start
from machines.conditions import Condition
from machines.fields import Field, boolean, optional, text
from machines.keeps import Kept
from machines.later import Later
from machines.outcomes import REFUSED, Outcome
from machines.references import parts, split, within
from machines.retry import PERSISTENT, Retry
from machines.waiting import Waiting
from machines.words import word


class Kind(StrEnum):
    READ = "read"
    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"
    PAUSE = "pause"
    WAIT = "wait"


#: Kinds of steps that call a participant.
CALLING = frozenset({Kind.READ, Kind.COMPENSATABLE, Kind.PIVOT, Kind.RETRIABLE})
#: Kinds of steps that change something at a participant.
EFFECTFUL = CALLING - {Kind.READ}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of the table as written. Each constructor takes the columns that its kind has."""

    #: Name, unique in the table; part of the idempotency key.
    name: str
    #: read, compensatable, pivot, retriable, pause or wait.
    kind: Kind
    #: Call that carries the step out; None where the saga only waits.
    call: Call | None
    #: State after the step has succeeded.
    done: str
    #: State after a refusal; None where there is no way back.
    refused: str | None = None
    #: State in which the call is in flight; None: the state in which the preceding step ended.
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
    #: What the saga waits for, in a pause or a wait.
    waits: Waiting | None = None
    #: How the participant answers a call that it has accepted with 202; None: 202 is in doubt.
    later: Later | None = None
    #: Condition under which the step is done; otherwise the saga skips the step. None: the step is always done. A step
    #: with a condition has a state `doing`, so that the saga decides before it enters that state.
    when: Condition | None = None
    #: Branches that the step starts as its children; None for every other step.
    group: Group | None = None
    #: Name of the step in plain words, for the people who read its sagas; "": its name is shown alone.
    title: str = ""
    #: Money that the step moves, for the same people.
    amount: Amount | None = None

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call of the step."""
        return tuple(call for call in (self.call, self.undo, self.probe, self.asks) if call is not None)

    @property
    def asks(self) -> Call | None:
        """The call of `later=poll(…)` as the table writes it."""
        return self.later.asks if self.later else None

    @cached_property
    def poll(self) -> Call | None:
        """The call that asks for the answer to the accepted call; None: the step has no such call.

        A field of its reply means what the field means in the reply to the step's call, unless the poll has `means` of
        its own. A status has no such meaning, because it is about the address of the poll.
        """
        if self.asks is None or self.call is None:
            return None
        by_field: Means = {path: meaning for path, meaning in self.call.means.items() if isinstance(path, str)}
        return replace(self.asks, means=self.asks.means or by_field)

    @property
    def keeps(self) -> Mapping[str, Kept | Field]:
        """The values that the step keeps of its reply, or of the signal that it waits for."""
        return self.call.keeps if self.call else self.waits.brings if self.waits else {}

    @property
    def action(self) -> Call | Waiting:
        """What carries the step out: its call, or its wait."""
        action = self.call or self.waits
        assert action is not None, "check() refuses a step without either"
        return action

    @property
    def starts(self) -> str | None:
        """Name of the saga, or of the group, that the step starts as its children; None for every other step."""
        return self.call.participant if isinstance(self.call, Start) else None

    @cached_property
    def undo_needs_reply(self) -> bool:
        """True when the undo refers to the step's own reply."""
        return self.undo is not None and any(split(each)[0] == self.name for each in self.undo.references)

    def undo_can_use(self, reply: Any) -> bool:
        """Return True when the reply has every field that the undo needs from it."""
        needed = (split(each) for each in self.undo.required_references) if self.undo else ()
        try:
            return all(root != self.name or within(reply, parts(name)) is not None for root, name in needed)
        except (LookupError, TypeError):
            return False

    @property
    def recovery(self) -> Call | None:
        """The call that gets a lost reply of the step again: the probe or the repeated call; None: there is neither."""
        return self.probe or (self.call if self.repeatable else None)


class StepColumns(TypedDict, total=False):
    """Columns that every kind of step may have."""

    doing: str
    when: Condition
    retry: Retry
    timeout_s: float
    dwell_s: float
    title: str


class EffectStepColumns(StepColumns, total=False):
    """Columns that only a step with an effect may have."""

    probe: Call
    repeatable: bool
    later: Later
    amount: Amount


def new_step(name: str, kind: Kind, **columns: Any) -> Step:
    """Return a step. A step with `when=` gets a state `doing`, unless its author named one."""
    if columns.get("when") is not None and columns.get("doing") is None:
        columns["doing"] = f"DOING_{str(name).upper()}"  # str: check() refuses a name that is not a text
    return Step(name=name, kind=kind, **columns)


@word
def read(name: str, call: Call, *, done: str, refused: str | None = None, **columns: Unpack[StepColumns]) -> Step:
    """Return a step that changes nothing and can be repeated. After a pivot it has no `refused` state."""
    return new_step(name, Kind.READ, call=call, done=done, refused=refused, **columns)


@word
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
    undoing = undoing or f"UNDOING_{str(name).upper()}"  # str: check() refuses a name that is not a text
    return new_step(
        name,
        Kind.COMPENSATABLE,
        call=call,
        undo=undo,
        undoing=undoing,
        done=done,
        refused=refused,
        **columns,
    )


@word
def pivot(name: str, call: Call, *, done: str, refused: str, **columns: Unpack[EffectStepColumns]) -> Step:
    """Return the point of no return: after its success the saga only goes forward."""
    return new_step(name, Kind.PIVOT, call=call, done=done, refused=refused, **columns)


@word
def retriable(name: str, call: Call, *, done: str, **columns: Unpack[EffectStepColumns]) -> Step:
    """Return a step that must succeed in the end: it is retried until it succeeds or a person decides."""
    return new_step(name, Kind.RETRIABLE, call=call, done=done, **{"retry": PERSISTENT, **columns})


class WaitColumns(TypedDict, total=False):
    """Columns that a pause and a wait may have."""

    doing: str
    when: Condition
    dwell_s: float
    title: str


@word
def pause(
    name: str,
    *,
    done: str,
    refused: str | None = None,
    for_s: float | None = None,
    until: str | None = None,
    **columns: Unpack[WaitColumns],
) -> Step:
    """Return a step in which the saga waits `for_s` seconds, or until the date or datetime that `until` refers to.

    A date begins at midnight UTC. refused: state after a cancel in the pause, or after the end of the saga's deadline
    in the pause. A pause after the pivot has no such state.
    """
    waits = Waiting(for_s=for_s, until=until)
    return new_step(name, Kind.PAUSE, call=None, waits=waits, done=done, refused=refused, **columns)


@word
def wait(
    name: str,
    *,
    signal: str,
    within_s: float,
    done: str,
    refused: str | None = None,
    brings: Mapping[str, Field] | None = None,
    means: Mapping[str, Mapping[object, Outcome]] | None = None,
    over: Outcome | None = None,
    **columns: Unpack[WaitColumns],
) -> Step:
    """Return a step in which the saga waits for a signal, `within_s` seconds at most.

    brings: the fields of the signal's body. means: field → value → REFUSED, for a body that refuses; every other body
    means SUCCEEDED. over: the outcome when the time is over; default: REFUSED, but after the pivot the saga is stuck.
    """
    waits = Waiting(for_s=within_s, signal=signal, brings=brings or {}, means=means or {}, over=over)
    return new_step(name, Kind.WAIT, call=None, waits=waits, done=done, refused=refused, **columns)


@word
def approval(
    name: str, *, role: str, within_s: float, done: str, refused: str | None = None, **columns: Unpack[WaitColumns]
) -> Step:
    """Return a wait for a person with the role: its signal has the step's name, `approved` and a `comment`."""
    waits = Waiting(
        for_s=within_s,
        signal=name,
        role=role,
        brings={"approved": boolean(), "comment": optional(text(high=1_000))},
        means={"approved": {False: REFUSED}},
    )
    return new_step(name, Kind.WAIT, call=None, waits=waits, done=done, refused=refused, **columns)
