"""Divide a saga's states into bands, one per step. The bands follow from the definition; no layout is drawn by hand."""

from dataclasses import dataclass

from machines.saga import Saga
from machines.step import Kind, Step
from machines.transitions import Trigger

#: The row and the column of each state in the grid.
GridPositions = dict[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Band:
    """One step and its states.

    before: the state in which the step waits to be started; None when the step has no such state.
    stuck, undo_stuck: the states in which an operator must decide.
    """

    number: int
    step: Step
    active: str
    before: str | None
    failure: str | None
    stuck: str
    undoing: str | None
    undo_stuck: str | None

    @property
    def pivot(self) -> bool:
        return self.step.kind is Kind.PIVOT

    @property
    def states(self) -> tuple[str | None, ...]:
        return self.active, self.before, self.failure, self.stuck, self.undoing, self.undo_stuck


def step_bands(saga: Saga) -> list[Band]:
    ahead = {(row.source, row.trigger): row.dest for row in saga.transitions}
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
                failure=step.refused,
                stuck=ahead[active, Trigger.QUARANTINE],
                undoing=undoing,
                undo_stuck=ahead[undoing, Trigger.QUARANTINE] if undoing else None,
            )
        )
        entry = step.done
    return found


def grid_positions(saga: Saga) -> GridPositions:
    """Return the row (from the top) and the column (from the left, forward states in column 0) of each state."""
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
    return found | {saga.completed: (row + 1, 0)}
