"""The facts that metrics, dashboards and rules need from the definitions.

All versions of a definition are merged, because metrics have no version. /metrics shows the facts as constants: the
order of the steps, the time limits, and what waits wait for (app.telemetry.table_gauges).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from machines.saga import Saga
from machines.transitions import Phase, State, Trigger
from machines.waiting import Waiting


@dataclass(frozen=True, kw_only=True)
class StepFact:
    """A step of a saga.

    place: the saga's name and the step's number. Places sorted as texts have the order of the steps.
    """

    saga: str
    step: str
    place: str


@dataclass(frozen=True, kw_only=True)
class StateFact:
    """A state in which a saga stays."""

    saga: str
    state: str
    step: str  # the step whose call the state waits for
    participant: str  # the participant of that call; "" in a waiting state
    phase: Phase
    dwell_s: float  # how long a saga may stay in the state, in seconds


@dataclass(frozen=True, kw_only=True)
class WaitFact:
    """A state in which a saga waits for a signal, for the answer to a call, or for the end of a pause."""

    saga: str
    state: str
    waits_for: str  # `signal NAME`, `answer of PARTICIPANT` or `pause`


@dataclass(frozen=True, kw_only=True)
class Facts:
    steps: tuple[StepFact, ...]
    waits: tuple[WaitFact, ...]
    states: tuple[StateFact, ...]
    failures: Mapping[str, tuple[str, ...]]  # by saga: refused states, then stuck states

    def named(self, phase: Phase) -> list[str]:
        """Return the names of the states of a phase in all sagas."""
        return sorted({fact.state for fact in self.states if fact.phase is phase})


def facts(sagas: Iterable[Saga]) -> Facts:
    """Collect the facts; where versions differ, the newest version counts."""
    steps: dict[tuple[str, str], StepFact] = {}
    states: dict[tuple[str, str], StateFact] = {}
    waits: dict[tuple[str, str], WaitFact] = {}
    failures: dict[str, dict[str, None]] = {}
    for saga in sorted(sagas, key=lambda saga: (saga.name, -saga.version)):
        for step in _steps(saga):
            steps.setdefault((step.saga, step.step), step)
        for wait in _waits(saga):
            waits.setdefault((wait.saga, wait.state), wait)
        for state in _states(saga):
            states.setdefault((state.saga, state.state), state)
        failures.setdefault(saga.name, {}).update(dict.fromkeys(_failures(saga)))
    return Facts(
        steps=tuple(steps.values()),
        waits=tuple(waits.values()),
        states=tuple(states.values()),
        failures={saga: tuple(found) for saga, found in failures.items()},
    )


def _failures(saga: Saga) -> list[str]:
    """Return the states of refused steps, then the stuck states."""
    refused = [step.refused for step in saga.steps if step.refused]
    return refused + [state.name for state in saga.states.values() if state.phase is Phase.STUCK]


def _steps(saga: Saga) -> list[StepFact]:
    count = len(saga.steps)
    return [
        StepFact(saga=saga.name, step=step.name, place=f"{saga.name} {number:0{len(str(count))}}/{count}")
        for number, step in enumerate(saga.steps, start=1)
    ]


def _waits(saga: Saga) -> list[WaitFact]:
    return [
        WaitFact(saga=saga.name, state=state.name, waits_for=_waits_for(state))
        for state in saga.states.values()
        if state.phase is Phase.WAITING
    ]


def _waits_for(state: State) -> str:
    if isinstance(state.waits, Waiting):
        return "pause" if state.waits.signal is None else f"signal {state.waits.signal}"
    call = state.step.call if state.step else None
    return f"answer of {call.participant}" if call else ""


def _states(saga: Saga) -> list[StateFact]:
    states = saga.states
    # A stuck saga waits for the call that a retry would send.
    sent = {
        transition.source: states[transition.dest].call
        for transition in saga.transitions
        if transition.trigger is Trigger.RETRY
    }
    found = []
    for state in states.values():
        call = sent.get(state.name)
        if state.dwell_s is not None and state.step is not None and (call is not None or state.waits is not None):
            found.append(
                StateFact(
                    saga=saga.name,
                    state=state.name,
                    step=state.step.name,
                    participant=call.participant if call else "",
                    phase=state.phase,
                    dwell_s=state.dwell_s,
                )
            )
    return found
