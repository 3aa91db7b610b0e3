"""Bands: the states of a diagram in groups, one group for each step. They are derived from the definition."""

from dataclasses import dataclass

from machines.saga import Saga
from machines.step import Kind, Step
from machines.transitions import Trigger

#: State → its row and its column in the grid of a diagram.
GridPositions = dict[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Band:
    """One step and the names of its states."""

    #: Position of the step, from 1.
    number: int
    step: Step
    #: State in which the step's action is in flight.
    active: str
    #: Passing state before `active`; None: the step has no such state.
    before: str | None
    #: State that waits for the answer to an accepted call; None: the step is answered at once.
    awaiting: str | None
    #: State after a refusal; None: the saga cannot go back from this step.
    failure: str | None
    #: State in which the action is stuck.
    stuck: str
    #: State in which the compensation is in flight; None: the step has none.
    undoing: str | None
    #: State in which the compensation is stuck; None: the step has none.
    undo_stuck: str | None

    @property
    def pivot(self) -> bool:
        return self.step.kind is Kind.PIVOT

    @property
    def states(self) -> tuple[str | None, ...]:
        return self.active, self.before, self.awaiting, self.failure, self.stuck, self.undoing, self.undo_stuck


def step_bands(saga: Saga) -> list[Band]:
    ahead = {(transition.source, transition.trigger): transition.dest for transition in saga.transitions}
    found, entry = [], saga.initial
    for number, step in enumerate(saga.steps, 1):
        active = step.doing or entry
        undoing = step.undoing or None
        found.append(
            Band(
                number=number,
                step=step,
                active=active,
                before=entry if step.doing else None,
                awaiting=ahead.get((active, Trigger.ACCEPTED)),
                failure=step.refused,
                stuck=ahead[active, Trigger.QUARANTINE],
                undoing=undoing,
                undo_stuck=ahead[undoing, Trigger.QUARANTINE] if undoing else None,
            )
        )
        entry = step.done
    return found


def grid_positions(saga: Saga) -> GridPositions:
    """Return the row and the column of each state, from 0 at the top left. Forward states are in column 0."""
    found: GridPositions = {saga.compensated: (0, 2)}
    row = 0
    for band in step_bands(saga):
        if band.before:
            row += 1
            found[band.before] = (row, 0)
        row += 1
        columns = ((band.active, 0), (band.failure, 1), (band.undoing, 2), (band.undo_stuck, 3))
        found |= {state: (row, column) for state, column in columns if state}
        row += bool(band.failure)
        found[band.stuck] = (row, 1)
        if band.awaiting:
            row += 1
            found[band.awaiting] = (row, 0)
    return found | {saga.completed: (row + 1, 0)}
