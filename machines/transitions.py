"""The states and transitions that are derived from a table. No other module creates a transition.

In an *active* state exactly one call is in flight. In a *waiting* state the saga waits for one of three events: the end
of a pause (`succeeded`), a signal (`succeeded` or `refused`), or the answer to an accepted call. The trigger of a
transition says what happened to the call or to the saga:

    start             the saga is created, in the initial state
    succeeded         continue with the next step, or with the next compensation
    accepted          the participant answers later: the saga waits for the answer, and no call is in flight
    refused           the call had no effect: enter the step's `refused` state; stuck after the pivot and in an undo
    refused_in_doubt  a pivot is refused after an attempt that may have worked: stuck
    retry             the call is in doubt, and is sent again
    defer             the call was not sent, or the participant asks to wait: it is sent later; counts as no attempt
    exhausted         the call is in doubt and has no attempt left: compensate *including this step*, or stuck
    cancel            a person cancels the saga while it can still go back
    expire            the deadline was over before the call was sent
    quarantine        the processes that claimed the saga died repeatedly: stuck, before the saga kills another process

A saga leaves a *passing* state (a step's `refused` state, or the state before a step's `doing`) in the same commit: by
`begin`, by `compensate` (the step certainly had no effect) or by `compensate_including` (the step may have had one).

A step with `when=` always has a state `doing`, and the passing state before it decides the condition: `begin` when it
holds, `skip` to the step's `done` when it does not, `refused` when it cannot be decided. On the way back the saga
leaves the `undoing` state of a skipped step in the same commit, by `skip`.

Every active state has a *stuck* state, which a saga leaves only by the decision of a person: `retry`, `resolve` (the
person did the work by hand) or, while the saga can still go back, `compensate_including` (of a step with an undo) or
`compensate` (of a step without one).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from machines.call import Call
from machines.children import ChildEnd
from machines.conditions import Condition, negated
from machines.later import Later
from machines.outcomes import IN_DOUBT, NOT_SENT, Outcome
from machines.retry import DEFERRED, NEVER, PERSISTENT, Retry
from machines.step import EFFECTFUL, Kind, Step
from machines.table import Table
from machines.waiting import Waiting

#: Source of the transition START, because a saga has no state before it is created. The journal stores NULL for it.
NOWHERE = ""


class Trigger(StrEnum):
    START = "start"
    SUCCEEDED = "succeeded"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    REFUSED_IN_DOUBT = "refused_in_doubt"
    RETRY = "retry"
    DEFER = "defer"
    EXHAUSTED = "exhausted"
    CANCEL = "cancel"
    EXPIRE = "expire"
    QUARANTINE = "quarantine"
    BEGIN = "begin"
    SKIP = "skip"
    COMPENSATE = "compensate"
    COMPENSATE_INCLUDING = "compensate_including"
    RESOLVE = "resolve"


#: Triggers after which a step's action, or its compensation, is done.
DONE = frozenset({Trigger.SUCCEEDED, Trigger.RESOLVE})
#: Triggers by which a step fails.
FAILURES = frozenset({Trigger.REFUSED, Trigger.REFUSED_IN_DOUBT, Trigger.EXHAUSTED, Trigger.EXPIRE, Trigger.QUARANTINE})
#: Triggers after which a saga does not go forward any more.
GIVES_UP = FAILURES | {Trigger.CANCEL}


class Direction(StrEnum):
    """What a call does for its step."""

    DO = "do"
    UNDO = "undo"


class Phase(StrEnum):
    FORWARD = "forward"
    PASSING = "passing"
    WAITING = "waiting"
    UNDOING = "undoing"
    STUCK = "stuck"
    COMPLETED = "completed"
    COMPENSATED = "compensated"


@dataclass(frozen=True, kw_only=True)
class State:
    """One state of a saga."""

    #: Name, as the table writes it or as derived from the step's name.
    name: str
    #: What the saga does in this state.
    phase: Phase
    #: Step that the state belongs to; None for an end.
    step: Step | None = None
    #: Call in flight; None: no call is in flight in this state.
    call: Call | None = None
    #: Retries of the call in flight.
    retry: Retry = Retry()
    #: Waits between two tries to send the call in flight when it could not be sent.
    deferral: Retry = DEFERRED
    #: What the saga waits for in this state; None: it does not wait.
    waits: Waiting | Later | ChildEnd | None = None
    #: True where the call in flight, or the call that is stuck, is the step's compensation.
    undoes: bool = False
    #: Of an end: the call that is sent after the saga has ended here; None: there is no such call.
    at_end: Call | None = None

    @cached_property
    def runs(self) -> bool:
        """True when the engine has something to do in this state: a call to send, or a wait to end."""
        return self.call is not None or self.waits is not None

    @property
    def action(self) -> Call | Waiting | Later | ChildEnd | None:
        """The call in flight, or what the saga waits for; None in a state in which nothing is done."""
        return self.call or self.waits

    @cached_property
    def awaits_answer(self) -> bool:
        """True when a participant has accepted the step's call and has not answered yet; it may have done it."""
        return isinstance(self.waits, Later)

    @property
    def is_pause(self) -> bool:
        """True when only time ends the wait of this state."""
        return isinstance(self.waits, Waiting) and self.waits.signal is None

    @property
    def participant(self) -> str | None:
        """The participant of the call that is in flight or stuck in this state; None without such a call."""
        if self.step is None or self.step.starts is not None:
            return None
        call = self.step.undo if self.undoes else self.step.call
        return call.participant if call else None

    @property
    def poll(self) -> Call | None:
        """The call that asks for the answer that the saga waits for; None: the saga does not ask."""
        return self.step.poll if self.step is not None and self.awaits_answer else None

    @cached_property
    def awaits_child(self) -> bool:
        """True when the saga waits for its child: for its end, or for the end of its compensation."""
        return isinstance(self.waits, ChildEnd)

    @cached_property
    def answered_later(self) -> bool:
        """True when the participant may answer the call in flight later."""
        return self.phase is Phase.FORWARD and self.step is not None and self.step.later is not None

    @cached_property
    def called_back(self) -> bool:
        """True when the participant may send the answer to the call in flight before the reply to this call."""
        return self.answered_later and self.step is not None and self.step.poll is None

    @cached_property
    def direction(self) -> Direction:
        return Direction.UNDO if self.undoes else Direction.DO

    @property
    def dwell_s(self) -> float | None:
        """Longest expected stay in this state, in seconds; None for an end and for a state left in the same commit."""
        if self.waits:
            return None if self.waits.for_s is None or self.step is None else self.waits.for_s + self.step.dwell_s
        stays = self.phase in (Phase.FORWARD, Phase.UNDOING, Phase.STUCK)
        return self.step.dwell_s if stays and self.step else None

    @property
    def rounds(self) -> int:
        """The largest number of requests to the participant: each attempt, and a last probe where the step has one."""
        return self.retry.attempts + (self.probe is not None)

    @property
    def probe(self) -> Call | None:
        """The call that reads the outcome of an attempt in doubt, where the step has one; an undo has none."""
        return self.step.probe if self.step is not None and self.phase is Phase.FORWARD else None

    @cached_property
    def effectful(self) -> bool:
        return self.step is not None and self.step.kind in EFFECTFUL

    @cached_property
    def doubts_refusals(self) -> bool:
        """True when a refusal after an attempt in doubt makes the saga stuck."""
        return self.step is not None and (self.undoes or self.step.kind in (Kind.PIVOT, Kind.RETRIABLE))


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One transition."""

    #: State before the move.
    source: str
    #: What makes the move.
    trigger: Trigger
    #: State after the move.
    dest: str
    #: Call whose outcome is the trigger; None where the trigger is not an outcome.
    call: Call | None = None
    #: Condition under which the saga makes the move; None: the trigger alone decides.
    when: Condition | None = None


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The states and transitions derived from one table."""

    states: Mapping[str, State]
    #: Every transition between two states.
    transitions: tuple[Transition, ...]
    #: The transition that creates a saga.
    start: Transition


def derive(table: Table) -> Graph:
    """Derive every state and transition of a table that has passed `check`."""
    derived = tuple(_forward(table)) + tuple(_backward(table)) + tuple(_ends(table))
    states = {item.name: item for item in derived if isinstance(item, State)}
    return Graph(
        states=states,
        transitions=tuple(item for item in derived if isinstance(item, Transition)),
        start=Transition(source=NOWHERE, trigger=Trigger.START, dest=table.initial),
    )


def stuck_states(step: Step) -> tuple[str, str]:
    """Return the names of two states that wait for a person: the step is stuck, or its compensation is stuck."""
    return f"STUCK_{step.name.upper()}", f"STUCK_UNDO_{step.name.upper()}"


def awaiting_state(step: Step) -> str:
    """Return the name of the state in which the saga waits for the answer to an accepted call."""
    return f"AWAITING_{step.name.upper()}"


def _forward(table: Table) -> Iterator[State | Transition]:
    before, forward_only = table.initial, False
    for number, step in enumerate(table.steps):
        if step.doing:
            yield State(name=before, phase=Phase.PASSING, step=step)
            yield Transition(source=before, trigger=Trigger.BEGIN, dest=step.doing, when=step.when)
        if step.when:
            yield Transition(source=before, trigger=Trigger.SKIP, dest=step.done, when=negated(step.when))
            yield Transition(source=before, trigger=Trigger.REFUSED, dest=step.refused or stuck_states(step)[0])
        entry, stuck = step.doing or before, stuck_states(step)[0]
        yield _entry(step, entry)
        yield Transition(source=entry, trigger=Trigger.SUCCEEDED, dest=step.done, call=step.call)
        if step.call and not step.starts:
            yield from _sent_again(entry, step.call)
        yield from _stuck(entry, step, stuck, step.done)
        if step.kind in (Kind.PIVOT, Kind.RETRIABLE) or (forward_only and _can_exhaust(step)):
            yield Transition(source=entry, trigger=Trigger.EXHAUSTED, dest=stuck, call=step.call)
        if step.kind is Kind.RETRIABLE or forward_only:  # refused, and there is no way back
            if step.call:
                yield Transition(source=entry, trigger=Trigger.REFUSED, dest=stuck, call=step.call)
        else:
            yield from _failure(table, number, entry, stuck)
        if step.later:
            yield from _awaiting(step, step.later, entry, stuck)
        before, forward_only = step.done, forward_only or step.kind in (Kind.PIVOT, Kind.RETRIABLE)


def _entry(step: Step, name: str) -> State:
    """Return the state in which the step is carried out."""
    if step.starts:
        return State(name=name, phase=Phase.WAITING, step=step, waits=_children_of(step), retry=NEVER)
    if step.call is None:
        return State(name=name, phase=Phase.WAITING, step=step, waits=step.waits, retry=NEVER)
    return State(
        name=name,
        phase=Phase.FORWARD,
        step=step,
        call=step.call,
        retry=_retry(step.call, step.retry),
        deferral=_deferral(step.call),
    )


def _children_of(step: Step) -> ChildEnd:
    return ChildEnd(saga=step.starts or "", branches=step.group is not None)


def _awaiting(step: Step, later: Later, entry: str, stuck: str) -> Iterator[State | Transition]:
    """Yield the state that waits for the answer to an accepted call, and its transitions.

    A waiting pivot does not expire and cannot be cancelled, because the saga may be unable to go back.
    """
    waiting, call = awaiting_state(step), step.call
    failure = step.refused or stuck
    yield State(name=waiting, phase=Phase.WAITING, step=step, waits=later, retry=NEVER)
    yield Transition(source=entry, trigger=Trigger.ACCEPTED, dest=waiting, call=call)
    yield Transition(source=waiting, trigger=Trigger.SUCCEEDED, dest=step.done, call=call)
    yield Transition(source=waiting, trigger=Trigger.QUARANTINE, dest=stuck)
    yield Transition(source=waiting, trigger=Trigger.REFUSED, dest=failure, call=call)
    if step.probe:
        yield Transition(source=waiting, trigger=Trigger.DEFER, dest=waiting, call=step.probe)
    if step.kind is Kind.COMPENSATABLE:
        for trigger in (Trigger.EXHAUSTED, Trigger.EXPIRE, Trigger.CANCEL):
            yield Transition(source=waiting, trigger=trigger, dest=failure)
        return
    yield Transition(source=waiting, trigger=Trigger.EXHAUSTED, dest=stuck)
    if step.kind is Kind.PIVOT:
        yield Transition(source=waiting, trigger=Trigger.REFUSED_IN_DOUBT, dest=stuck, call=call)


def _can_exhaust(step: Step) -> bool:
    """Return True when a step after the pivot can end without a clear result."""
    return step.waits is None or step.waits.outcome_at_end(can_go_back=False) is Outcome.IN_DOUBT


def _retry(call: Call, otherwise: Retry) -> Retry:
    """Return the retries of a call in doubt: its own, or those of its step."""
    if isinstance(call.retry, Mapping):
        return next((each for outcome, each in call.retry.items() if Outcome(outcome) is IN_DOUBT), otherwise)
    return call.retry or otherwise


def _deferral(call: Call) -> Retry:
    own = call.retry if isinstance(call.retry, Mapping) else {}
    return next((each for outcome, each in own.items() if Outcome(outcome) is NOT_SENT), DEFERRED)


def _failure(table: Table, number: int, entry: str, stuck: str) -> Iterator[State | Transition]:
    """Yield the failure state of a step that the saga can go back from, and the transitions of the step's failures."""
    step, back = table.steps[number], _compensation_before(table, number)
    failure = step.refused or ""  # check() requires it here
    yield State(name=failure, phase=Phase.PASSING, step=step)
    if step.kind is not Kind.PAUSE:
        yield Transition(source=entry, trigger=Trigger.REFUSED, dest=failure, call=step.call)
    # Only the child knows whether a pivot can still go back, so no deadline and no person ends the wait for it.
    if not (step.starts and step.kind is Kind.PIVOT):
        yield Transition(source=entry, trigger=Trigger.EXPIRE, dest=failure)
    yield Transition(source=failure, trigger=Trigger.COMPENSATE, dest=back)
    if step.kind is Kind.PIVOT and not step.starts:
        yield Transition(source=entry, trigger=Trigger.REFUSED_IN_DOUBT, dest=stuck, call=step.call)
    elif step.kind is not Kind.PIVOT:
        if step.call:
            yield Transition(source=entry, trigger=Trigger.EXHAUSTED, dest=failure, call=step.call)
        # A pivot in flight cannot be cancelled, because it is unknown whether the saga can still go back.
        yield Transition(source=entry, trigger=Trigger.CANCEL, dest=failure)
    if step.undoing:
        for source in (failure, stuck):
            yield Transition(source=source, trigger=Trigger.COMPENSATE_INCLUDING, dest=step.undoing)
    else:
        yield Transition(source=stuck, trigger=Trigger.COMPENSATE, dest=back)


def _backward(table: Table) -> Iterator[State | Transition]:
    for number, step in reversed(list(enumerate(table.steps))):
        if step.undo and step.undoing:
            onward, child = _compensation_before(table, number), step.starts
            yield State(
                name=step.undoing, phase=Phase.UNDOING, step=step, undoes=True,
                call=None if child else step.undo, waits=_children_of(step) if child else None,
                retry=_retry(step.undo, PERSISTENT), deferral=_deferral(step.undo),
            )  # fmt: skip
            yield Transition(source=step.undoing, trigger=Trigger.SUCCEEDED, dest=onward, call=step.undo)
            if not child:
                yield from _sent_again(step.undoing, step.undo)
            stuck = stuck_states(step)[1]
            yield from _stuck(step.undoing, step, stuck, onward, undoes=True)
            # A child that cannot be compensated is stuck itself, and its parent waits for it.
            for failed in () if child else (Trigger.REFUSED, Trigger.EXHAUSTED):
                yield Transition(source=step.undoing, trigger=failed, dest=stuck, call=step.undo)
            if step.when:
                yield Transition(source=step.undoing, trigger=Trigger.SKIP, dest=onward)


def _ends(table: Table) -> Iterator[State | Transition]:
    for name, phase in ((table.completed, Phase.COMPLETED), (table.compensated, Phase.COMPENSATED)):
        yield State(name=name, phase=phase, at_end=table.at_end.get(name))
    if not any(step.kind in (Kind.PIVOT, Kind.RETRIABLE) for step in table.steps):
        yield Transition(
            source=table.completed, trigger=Trigger.COMPENSATE, dest=_compensation_before(table, len(table.steps))
        )


def _sent_again(entry: str, call: Call) -> Iterator[Transition]:
    yield Transition(source=entry, trigger=Trigger.RETRY, dest=entry, call=call)
    yield Transition(source=entry, trigger=Trigger.DEFER, dest=entry, call=call)


def _stuck(entry: str, step: Step, stuck: str, resolved: str, *, undoes: bool = False) -> Iterator[State | Transition]:
    yield State(name=stuck, phase=Phase.STUCK, step=step, undoes=undoes)
    yield Transition(source=entry, trigger=Trigger.QUARANTINE, dest=stuck)
    yield Transition(source=stuck, trigger=Trigger.RETRY, dest=entry)
    if step.kind is not Kind.READ:  # a person cannot supply what a read would have returned
        yield Transition(source=stuck, trigger=Trigger.RESOLVE, dest=resolved)


def _compensation_before(table: Table, number: int) -> str:
    """Return the state that compensates the nearest step before step `number` that has an undo.

    Without such a step, return the end state of a compensated saga. So steps are undone in reverse order.
    """
    undoing = [step.undoing for step in table.steps[:number] if step.undoing]
    return undoing[-1] if undoing else table.compensated
