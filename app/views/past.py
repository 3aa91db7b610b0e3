"""A saga as it was after one entry of its journal: its state, and what its steps had done by then."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import NotFoundError
from app.store.models import JournalRow, SagaRow
from machines.history import StepEffect, effects_of
from machines.renaming import as_named_now
from machines.saga import Saga
from machines.statuses import Status, status_of
from machines.transitions import Phase


@dataclass(frozen=True, kw_only=True)
class Past:
    """A saga right after an entry of its journal."""

    #: The journal until then; its last row is the entry.
    journal: Sequence[JournalRow]
    state: str
    status: str
    #: True: nothing has happened since.
    is_present: bool
    effects: Sequence[StepEffect]
    #: Names of the steps whose effect the entry changed.
    changed: frozenset[str]

    @property
    def entry(self) -> JournalRow:
        return self.journal[-1]


def past_of(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], number: int | None, now: Sequence[StepEffect]
) -> Past:
    """Return the saga as it was after the entry with this number; None: as it is. The journal has an entry.

    now: the effects of the saga as it is. Raise NotFoundError for a number that the journal lacks.
    """
    rows, named = [row for row in journal if number is None or row.seq <= number], as_named_now(journal)
    if number is not None and (not rows or rows[-1].seq != number):
        raise NotFoundError(f"the journal has no entry {number}; its last one is {journal[-1].seq}")
    at, is_present = len(rows) - 1, len(rows) == len(journal)
    state = saga.state if is_present else named[at].dest
    effects = effects_of(definition, state, rows, in_doubt=False)
    return Past(
        journal=rows,
        state=state,
        status=saga.status if is_present else _status(definition, named[at:]),
        is_present=is_present,
        effects=now if is_present else effects,
        changed=_changed(definition, named[:at], effects) - {each.step.name for each in now if each.answer},
    )


def _changed(definition: Saga, before: Sequence[JournalRow], effects: Sequence[StepEffect]) -> frozenset[str]:
    """Return the names of the steps whose effect was another one. before: the journal without its last row."""
    if not before:
        return frozenset()
    were = effects_of(definition, before[-1].dest, before, in_doubt=False)
    return frozenset(now.step.name for now, then in zip(effects, were, strict=True) if now.effect is not then.effect)


def _status(definition: Saga, later: Sequence[JournalRow]) -> Status:
    """Return the status after the first of these rows. In a passing state, it is the status that the saga passes to."""
    phases = (definition.states[row.dest].phase for row in later)
    phase = next((phase for phase in phases if phase is not Phase.PASSING), Phase.UNDOING)
    return status_of(phase, pending=False)
