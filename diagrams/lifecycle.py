"""The lifecycles of a saga's status and of a step's status: which status can follow which, in all definitions.

The module makes every possible move in every table. `machines.statuses` decides the status before and after a
move, as it does for the API.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from machines.progress import Walk, operator_triggers
from machines.saga import Saga
from machines.statuses import SAGA_STATUSES, StepStatus, status_of, step_status
from machines.step import Step
from machines.transitions import DONE, FAILURES, Phase, Transition, Trigger

#: Name for the request that starts a created saga. It is not a trigger: no table has a transition for it.
EXECUTE = "execute"
_ENDS = (Phase.COMPLETED, Phase.COMPENSATED)

#: Status → its shape in the diagram, see `descriptions.shape_of`; all others have the shape "forward".
_SHAPES = {"pending": "passing", "completed": "completed", "failed": "failure", "compensated": "compensated"}

Change = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """A state machine whose states are statuses.

    changes: (status before, status after) → the moves that make this change.
    ends: the statuses that a saga, or a step of it, can have when the saga has ended.
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
    """A situation that a saga can reach: the saga's state, and the moves that one step has made so far."""

    state: str
    #: True: the saga was created and not started.
    pending: bool = False
    #: Triggers of the moves that the step's action has made.
    action_triggers: frozenset[Trigger] = frozenset()
    #: Triggers of the moves that the step's compensation has made.
    undo_triggers: frozenset[Trigger] = frozenset()


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
    statuses = tuple(status for status in statuses if status in {first, *itertools.chain(*found)})
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
    return step_status(
        saga,
        step,
        state=point.state,
        status=status,
        action_triggers=point.action_triggers,
        undo_triggers=point.undo_triggers,
    )


def _walk(saga: Saga, step: Step | None, initial: _Point) -> Iterator[tuple[_Point, str, _Point]]:
    """Yield every move that a saga can make from `initial`, with the points before and after the move."""
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
        for after in _stops(saga, step, point._replace(pending=False), saga.initial, in_doubt=False):
            yield EXECUTE, after
    by_operator = operator_triggers(saga, point.state)
    for transition in saga.transitions:
        if transition.source == point.state and (not point.pending or transition.trigger in by_operator):
            after = _noted(saga, step, transition, point)._replace(pending=False)
            for in_doubt in _in_doubt(transition, point):
                for stop in _stops(saga, step, after, transition.dest, in_doubt=in_doubt):
                    yield _words(saga, step, transition), stop


def _in_doubt(transition: Transition, point: _Point) -> tuple[bool, ...]:
    """Return the values that `in_doubt` can have at a move: True when the call in flight may have been sent."""
    if point.pending:
        return (False,)
    return (True,) if transition.trigger is Trigger.EXHAUSTED else (False, True)


def _stops(saga: Saga, step: Step | None, point: _Point, state: str, *, in_doubt: bool) -> Iterator[_Point]:
    """Yield each point at which the saga stays after it has left all passing states. state: the first state.

    There are several points where conditions decide: each step that is entered is then skipped, too.
    """
    skips: frozenset[str] = frozenset()
    while True:
        walk = Walk(saga, state)
        walk.skips = skips
        if step is not None and Trigger.SKIP in point.action_triggers:
            walk.skipped = frozenset({step.name})
        walk.pass_on(including=in_doubt)
        skipped = step is not None and step.name in walk.skipped
        triggers = point.action_triggers | ({Trigger.SKIP} if skipped else set())
        yield point._replace(state=walk.state, action_triggers=triggers)
        if not walk.assumed:
            return
        skips |= walk.assumed


def _noted(saga: Saga, step: Step | None, transition: Transition, point: _Point) -> _Point:
    """Return the point with this move added to the moves of the step, if the move is one of this step.

    `step_status` only checks for a trigger of DONE and for one of FAILURES, so one trigger stands for each group.
    """
    at = saga.states[transition.source]
    if at.step != step or transition.trigger not in DONE | FAILURES:
        return point
    move = Trigger.SUCCEEDED if transition.trigger in DONE else Trigger.REFUSED
    if at.undoes:
        return point._replace(undo_triggers=point.undo_triggers | {move})
    return point._replace(action_triggers=point.action_triggers | {move})


def _words(saga: Saga, step: Step | None, transition: Transition) -> str:
    at = saga.states[transition.source]
    if step is not None and at.step != step:
        return f"{transition.trigger} (another step)"
    return f"undo {transition.trigger}" if at.undoes else str(transition.trigger)
