"""What dashboards and rules take from the tables, over all versions of a saga: metrics name none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from machines.saga import Saga
from machines.transitions import Phase, Trigger


@dataclass(frozen=True, kw_only=True)
class StepFact:
    """place: the saga's name and where in it the step comes, which sorts as the table reads."""

    saga: str
    step: str
    place: str


@dataclass(frozen=True, kw_only=True)
class StateFact:
    """A state that a saga stays in: because of which step, whose participant, and for how long it may."""

    saga: str
    state: str
    step: str
    participant: str
    phase: Phase
    dwell_s: float


@dataclass(frozen=True, kw_only=True)
class Facts:
    steps: tuple[StepFact, ...]
    states: tuple[StateFact, ...]
    failures: Mapping[str, tuple[str, ...]]  # by saga: the states that say that a step failed

    def named(self, phase: Phase) -> list[str]:
        """Give the names of the states of a phase, in any saga."""
        return sorted({fact.state for fact in self.states if fact.phase is phase})


def facts(sagas: Iterable[Saga]) -> Facts:
    """Collect the facts; where versions differ, the newest has its say."""
    steps: dict[tuple[str, str], StepFact] = {}
    states: dict[tuple[str, str], StateFact] = {}
    failures: dict[str, dict[str, None]] = {}
    for saga in sorted(sagas, key=lambda saga: (saga.name, -saga.version)):
        for step in _steps(saga):
            steps.setdefault((step.saga, step.step), step)
        for state in _states(saga):
            states.setdefault((state.saga, state.state), state)
        failures.setdefault(saga.name, {}).update(dict.fromkeys(_failures(saga)))
    return Facts(
        steps=tuple(steps.values()),
        states=tuple(states.values()),
        failures={saga: tuple(found) for saga, found in failures.items()},
    )


def _failures(saga: Saga) -> list[str]:
    """Return the states of refused steps, then those in which a person must decide."""
    refused = [step.refused for step in saga.steps if step.refused]
    return refused + [state.name for state in saga.states.values() if state.phase is Phase.STUCK]


def _steps(saga: Saga) -> list[StepFact]:
    count = len(saga.steps)
    return [
        StepFact(saga=saga.name, step=step.name, place=f"{saga.name} {number:0{len(str(count))}}/{count}")
        for number, step in enumerate(saga.steps, start=1)
    ]


def _states(saga: Saga) -> list[StateFact]:
    states = saga.states
    # Whoever is stuck waits for the call that would be sent again.
    sent = {row.source: states[row.dest].call for row in saga.transitions if row.trigger is Trigger.RETRY}
    found = []
    for state in states.values():
        call = sent.get(state.name)
        if state.dwell_s is not None and state.step is not None and call is not None:
            found.append(
                StateFact(
                    saga=saga.name,
                    state=state.name,
                    step=state.step.name,
                    participant=call.participant,
                    phase=state.phase,
                    dwell_s=state.dwell_s,
                )
            )
    return found
