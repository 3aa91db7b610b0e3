"""The children of a saga as lines of a page: which part of their parent each one is."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from app.store.models import SagaRow
from app.views.formatting import brief
from machines.branches import BranchTable, is_branch_name
from machines.children import INDEX, ITEM
from machines.registry import Registry, UnknownSagaError

#: Most characters of an item in a line.
_LONGEST = 60


def part_words(registry: Registry, child: Any) -> str:
    """Return which part of its parent a child is: `hold[0]` for an item, `papers.label` for a branch, else its step.

    A child that a retry has started in the place of a compensated one is `started again`.
    """
    index = _index(registry, child)
    if index is not None:
        again = child.child_number != index + 1
        return f"{child.parent_step}[{index}]{', started again' if again else ''}"
    if is_branch_name(child.definition):
        return f"{child.parent_step}.{child.definition.rpartition('.')[2]}"
    return f"{child.parent_step}{', started again' if child.child_number > 1 else ''}"


def item_words(registry: Registry, children: Iterable[SagaRow]) -> Mapping[UUID, str]:
    """Return id → the item of a branch of each(), without secrets. Other children are left out."""
    found = {child.id: _item(registry, child) for child in children}
    return {saga_id: words for saga_id, words in found.items() if words}


def _index(registry: Registry, child: Any) -> int | None:
    """Return the index of the item of a child of each(); None for another child, or a table this release lacks."""
    try:
        table = registry.get(child.definition, child.definition_version)
    except UnknownSagaError:
        return None
    return child.data.get(INDEX) if isinstance(table, BranchTable) and table.of_items else None


def _item(registry: Registry, child: SagaRow) -> str:
    if _index(registry, child) is None or ITEM not in child.data:
        return ""
    data, secrets = child.data, registry.secrets_of(child.definition)
    if secrets is not None:
        data = secrets.shown_data(data)
    item = brief(data[ITEM])
    return item if len(item) <= _LONGEST else f"{item[:_LONGEST]} …"
