"""The lifecycle of SagaStatus and of StepStatus, found by walking the tables of all definitions.

`machines.statuses` decides the status of each point, for the API as well as here.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from machines.progress import Walk, requests
from machines.saga import Saga
from machines.statuses import SAGA_STATUSES, StepStatus, status_of, step_status
from machines.step import Step
from machines.transitions import DONE, FAILURES, Phase, Transition, Trigger

#: The request that starts a created saga. No table has a row for it.
EXECUTE = "execute"
_ENDS = (Phase.COMPLETED, Phase.COMPENSATED)

#: The shape of each status; see `descriptions.shape_of`.
_SHAPES = {"pending": "passing", "completed": "completed", "failed": "failure", "compensated": "compensated"}

Change = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """A state machine whose states are statuses.

    changes: the moves that lead from one status to another, by (status before, status after).
    ends: the statuses that a saga, or its step, may have when the saga has ended.
    """

    name: str
    title: str
    description: str
    initial: str
    statuses: tuple[str, ...]
    ends: frozenset[str]
    changes: dict[Change, tuple[str, ...]]

    @property
    def shapes(self) -> dict[str, str]:
        return {status: _SHAPES.get(status, "forward") for status in self.statuses}


class _Point(NamedTuple):
    """A point that a saga may reach.

    done, undone: the moves so far of one step's call, and of its compensation.
    """

    state: str
    pending: bool = False
    done: frozenset[Trigger] = frozenset()
    undone: frozenset[Trigger] = frozenset()


def lifecycles(sagas: Iterable[Saga]) -> list[Lifecycle]:
    """Return the lifecycle of SagaStatus and the lifecycle of StepStatus over all definitions."""
    every = list(sagas)
    steps = [(saga, step) for saga in every for step in saga.steps]
    return [
        _lifecycle("saga", tuple(dict.fromkeys(SAGA_STATUSES.values())), [(saga, None) for saga in every]),
        _lifecycle("step", tuple(StepStatus), steps),
    ]


def _lifecycle(subject: str, statuses: tuple[str, ...], walked: Iterable[tuple[Saga, Step | None]]) -> Lifecycle:
    found: dict[Change, set[str]] = {}
    ends: set[str] = set()
    for saga, step in walked:
        initial = _Point(state=saga.initial, pending=True)
        first = _status(saga, step, initial)
        for before, move, after in _walk(saga, step, initial):
            change = _status(saga, step, before), _status(saga, step, after)
            if change[0] != change[1]:
                found.setdefault(change, set()).add(move)
            if saga.states[after.state].phase in _ENDS:
                ends.add(change[1])
    ordered = itertools.product(statuses, repeat=2)
    return Lifecycle(
        name=f"{subject}-status",
        title=f"{subject.capitalize()}Status",
        description=f"The status of a {subject} in the API, and the moves of all tables that change it.",
        initial=first,
        statuses=statuses,
        ends=frozenset(ends),
        changes={change: tuple(sorted(found[change])) for change in ordered if change in found},
    )


def _status(saga: Saga, step: Step | None, point: _Point) -> str:
    status = status_of(saga.states[point.state].phase, pending=point.pending)
    if step is None:
        return SAGA_STATUSES[status]
    return step_status(saga, step, state=point.state, status=status, done=point.done, undone=point.undone)


def _walk(saga: Saga, step: Step | None, initial: _Point) -> Iterator[tuple[_Point, str, _Point]]:
    """Yield every move that a saga may make, with the points before and after it."""
    seen, ahead = {initial}, deque([initial])
    while ahead:
        before = ahead.popleft()
        for move, after in _moves(saga, step, before):
            yield before, move, after
            if after not in seen:
                seen.add(after)
                ahead.append(after)


def _moves(saga: Saga, step: Step | None, point: _Point) -> Iterator[tuple[str, _Point]]:
    if point.pending:
        yield EXECUTE, point._replace(pending=False, state=_stop(saga, saga.initial, in_doubt=False))
    asked = requests(saga, point.state)
    for row in saga.transitions:
        if row.source == point.state and (not point.pending or row.trigger in asked):
            after = _noted(saga, step, row, point)._replace(pending=False)
            for in_doubt in _in_doubt(row, point):
                yield _words(saga, step, row), after._replace(state=_stop(saga, row.dest, in_doubt=in_doubt))


def _in_doubt(row: Transition, point: _Point) -> tuple[bool, ...]:
    """Return the possible values of `in doubt` for a move: whether the call in flight may have been sent."""
    if point.pending:
        return (False,)
    return (True,) if row.trigger is Trigger.EXHAUSTED else (False, True)


def _stop(saga: Saga, state: str, *, in_doubt: bool) -> str:
    """Return the state in which the saga stays after it has left the passing states."""
    walk = Walk(saga, state)
    walk.pass_on(including=in_doubt)
    return str(walk.state)


def _noted(saga: Saga, step: Step | None, row: Transition, point: _Point) -> _Point:
    """Add the move to the step's moves, as the journal does: by the step and direction of the state that it leaves.

    `step_status` only checks whether the moves contain one of DONE or of FAILURES, so one trigger represents each.
    """
    at = saga.states[row.source]
    if at.step != step or row.trigger not in DONE | FAILURES:
        return point
    move = Trigger.SUCCEEDED if row.trigger in DONE else Trigger.REFUSED
    if at.undoes:
        return point._replace(undone=point.undone | {move})
    return point._replace(done=point.done | {move})


def _words(saga: Saga, step: Step | None, row: Transition) -> str:
    at = saga.states[row.source]
    if step is not None and at.step != step:
        return f"{row.trigger} (another step)"
    return f"undo {row.trigger}" if at.undoes else str(row.trigger)
