"""A preview of a move that a person asks for: the rows are walked before anything is done.

It shows the states and calls if every call succeeds, and the course if the first call does not succeed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from machines.call import Call
from machines.machine import SagaMachine
from machines.rows import Phase, State, Trigger
from machines.saga import Saga

_LAST = (Phase.STUCK, Phase.COMPLETED, Phase.COMPENSATED)


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A state that the saga will enter."""

    #: The state.
    state: State
    #: Call sent in the state; not sent when `probe` finds that it was already done.
    call: Call | None
    #: Call that asks first whether an earlier attempt took effect.
    probe: Call | None = None


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The states to come after a move."""

    #: The move.
    trigger: Trigger
    #: All states to come if every call succeeds.
    course: tuple[Stop, ...]
    #: For each failure of the first call: its trigger and the states to come.
    otherwise: tuple[tuple[Trigger, tuple[Stop, ...]], ...]

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(stop.call for stop in self.course if stop.call)

    @property
    def end(self) -> State:
        return self.course[-1].state


def preview(saga: Saga, state: str, trigger: Trigger, *, unsure: bool) -> Preview:
    """Return the course from a state after the trigger. unsure: an attempt of the call in flight there is in doubt.

    Raise `transitions.MachineError` when the table has no such row.
    """
    machine = SagaMachine(saga, state)
    machine.fire(trigger)
    # A person who retries a stuck call does not know either whether the attempts before took effect.
    unsure = unsure if trigger is Trigger.CANCEL else trigger is Trigger.RETRY
    entered = tuple(passed(machine, unsure=unsure))
    first = entered[-1].name
    return Preview(
        trigger=trigger,
        course=(*_stops(entered, unsure=unsure), *_onward(saga, first)),
        otherwise=tuple(
            (outcome, tuple(_failing(saga, first, outcome, unsure=unsure)))
            for outcome in (_refusal(saga, first, unsure=unsure), Trigger.EXHAUSTED)
            if SagaMachine(saga, first).may(outcome)
        ),
    )


def _refusal(saga: Saga, state: str, *, unsure: bool) -> Trigger:
    """Return the trigger of a refusal: a pivot refused after an attempt in doubt fires REFUSED_IN_DOUBT."""
    doubted = unsure and SagaMachine(saga, state).may(Trigger.REFUSED_IN_DOUBT)
    return Trigger.REFUSED_IN_DOUBT if doubted else Trigger.REFUSED


def passed(machine: SagaMachine, *, unsure: bool) -> Iterator[State]:
    """Yield the machine's state and those passed in the same commit, up to the first state that stays.

    unsure: an attempt of the call in flight is in doubt.
    """
    yield machine.at
    while machine.at.phase is Phase.PASSING:
        including = unsure and machine.may(Trigger.COMPENSATE_INCLUDING)
        back = Trigger.COMPENSATE_INCLUDING if including else Trigger.COMPENSATE
        machine.fire(Trigger.BEGIN if machine.may(Trigger.BEGIN) else back)
        yield machine.at


def _onward(saga: Saga, state: str) -> Iterator[Stop]:
    """Yield the stops after a state (without the state itself) if every call succeeds."""
    machine = SagaMachine(saga, state)
    while machine.at.phase not in _LAST:
        machine.fire(Trigger.SUCCEEDED)
        yield from _stops(passed(machine, unsure=False), unsure=False)


def _failing(saga: Saga, state: str, outcome: Trigger, *, unsure: bool) -> Iterator[Stop]:
    machine = SagaMachine(saga, state)
    machine.fire(outcome)
    # A refusal proves that nothing happened only when no earlier attempt is in doubt.
    yield from _stops(passed(machine, unsure=unsure or outcome is Trigger.EXHAUSTED), unsure=False)
    yield from _onward(saga, machine.state)


def _stops(states: Iterator[State] | tuple[State, ...], *, unsure: bool) -> Iterator[Stop]:
    for state in states:
        probed = unsure and state.phase is Phase.FORWARD and state.step is not None
        yield Stop(state=state, call=state.call, probe=state.step.probe if probed and state.step else None)
