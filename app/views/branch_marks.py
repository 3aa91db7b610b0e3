"""The position of a saga's children in the diagram of the saga."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from app.store.models import JournalRow, SagaRow
from diagrams.overlays.branches import branch_marks
from diagrams.overlays.overlay import BranchKey, BranchMark
from machines.history import replies
from machines.references import FillError, look_up
from machines.saga import Saga


def marks_of(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], counts: Sequence[Row[Any]]
) -> Mapping[BranchKey, BranchMark]:
    """Return the marks of the saga's children. counts: `queries.descendant_counts` of the saga."""
    return branch_marks(definition, counts, _items(definition, saga, journal)) if counts else {}


def _items(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow]) -> Mapping[str, int]:
    """Return step → number of the items that it goes through, as far as the list is known."""
    found, results = dict[str, int](), replies(journal)
    for step in definition.steps:
        if step.group is None or step.group.over is None:
            continue
        try:
            found[step.name] = len(look_up(step.group.over, saga.data, results))
        except (FillError, TypeError):  # no list yet; the group has no children then
            continue
    return found
