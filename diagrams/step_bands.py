"""A table cut into bands, one a step: which states stand beside each other. A table has its layout in itself."""

from dataclasses import dataclass

from machines.rows import Trigger
from machines.saga import Saga
from machines.step import Kind, Step

#: The row and the column of each state.
Places = dict[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Band:
    """One step and its states.

    before: the state in which the step waits to begin, if there is one.
    stuck, undo_stuck: states in which a person decides.
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


def bands(saga: Saga) -> list[Band]:
    ahead = {(row.source, row.trigger): row.dest for row in saga.rows.rows}
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


def places(saga: Saga) -> Places:
    """Give each state its row, counted downwards, and its column, counted from the way forward to the right."""
    found: Places = {saga.compensated: (0, 2)}
    row = 0
    for band in bands(saga):
        if band.before:
            row += 1
            found[band.before] = (row, 0)
        row += 1
        columns = ((band.active, 0), (band.failure, 1), (band.undoing, 2), (band.undo_stuck, 3))
        found |= {state: (row, column) for state, column in columns if state}
        row += bool(band.failure)
        found[band.stuck] = (row, 1)
    return found | {saga.completed: (row + 1, 0)}
