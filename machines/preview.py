"""What a move that a person asks for will lead to: found by walking the rows, before anything is done.

It tells the course on which every call succeeds, and what comes of it when the first one does not.
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
    """A state that will be entered. call: what is then sent, unless `probe`, asked before, finds that it was done."""

    state: State
    call: Call | None
    probe: Call | None = None


@dataclass(frozen=True, kw_only=True)
class Preview:
    """course: every state to come if all goes well. otherwise: by what the first call then comes to, the others."""

    trigger: Trigger
    course: tuple[Stop, ...]
    otherwise: tuple[tuple[Trigger, tuple[Stop, ...]], ...]

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(stop.call for stop in self.course if stop.call)

    @property
    def end(self) -> State:
        return self.course[-1].state


def preview(saga: Saga, state: str, trigger: Trigger, *, unsure: bool) -> Preview:
    """Look ahead from a state that the trigger leaves. unsure: the call that was in flight there may have been sent.

    Raises `transitions.MachineError` where the table has no such row.
    """
    machine = SagaMachine(saga, state)
    machine.fire(trigger)
    # A person who sends the call of a stuck saga again knows no better what became of the attempts before.
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
    """Name the move that a refusal makes: what may have worked before, a pivot's refusal leaves in doubt."""
    doubted = unsure and SagaMachine(saga, state).may(Trigger.REFUSED_IN_DOUBT)
    return Trigger.REFUSED_IN_DOUBT if doubted else Trigger.REFUSED


def passed(machine: SagaMachine, *, unsure: bool) -> Iterator[State]:
    """Yield the state that it is in, and those that it passes in the same commit, up to one that stays.

    unsure: the call in flight may have been sent.
    """
    yield machine.at
    while machine.at.phase is Phase.PASSING:
        including = unsure and machine.may(Trigger.COMPENSATE_INCLUDING)
        back = Trigger.COMPENSATE_INCLUDING if including else Trigger.COMPENSATE
        machine.fire(Trigger.BEGIN if machine.may(Trigger.BEGIN) else back)
        yield machine.at


def _onward(saga: Saga, state: str) -> Iterator[Stop]:
    """Follow what succeeds from a state on, without that state."""
    machine = SagaMachine(saga, state)
    while machine.at.phase not in _LAST:
        machine.fire(Trigger.SUCCEEDED)
        yield from _stops(passed(machine, unsure=False), unsure=False)


def _failing(saga: Saga, state: str, outcome: Trigger, *, unsure: bool) -> Iterator[Stop]:
    machine = SagaMachine(saga, state)
    machine.fire(outcome)
    # A refusal proves that nothing happened only where no earlier attempt is unaccounted for.
    yield from _stops(passed(machine, unsure=unsure or outcome is Trigger.EXHAUSTED), unsure=False)
    yield from _onward(saga, machine.state)


def _stops(states: Iterator[State] | tuple[State, ...], *, unsure: bool) -> Iterator[Stop]:
    for state in states:
        probed = unsure and state.phase is Phase.FORWARD and state.step is not None
        yield Stop(state=state, call=state.call, probe=state.step.probe if probed and state.step else None)
