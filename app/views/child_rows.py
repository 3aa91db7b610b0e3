"""The children of a saga as lines of a page: which part of their parent each one is."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from app.store.models import SagaRow
from app.views.formatting import brief
from machines.children import INDEX, ITEM
from machines.registry import Registry, UnknownSagaError

#: Most characters of an item in a line.
_LONGEST = 60


def part_words(child: Any) -> str:
    """Return the step that has started a child, and the child's number among those of the step."""
    return f"{child.parent_step} {child.child_number}"


def item_words(registry: Registry, children: Iterable[SagaRow]) -> Mapping[UUID, str]:
    """Return id → the item of a branch of each(), with its index and without secrets. Other children are left out."""
    found = {child.id: _item(registry, child) for child in children}
    return {saga_id: words for saga_id, words in found.items() if words}


def _item(registry: Registry, child: SagaRow) -> str:
    try:
        table = registry.get(child.definition, child.definition_version)
    except UnknownSagaError:  # this release does not know which of its data are secret
        return ""
    if not table.is_branch or ITEM not in table.data or not {ITEM, INDEX} <= child.data.keys():
        return ""
    data, secrets = child.data, registry.secrets_of(child.definition)
    if secrets is not None:
        data = secrets.values(data, {}).hidden_in(secrets.masked_data(data))
    item = brief(data[ITEM])
    return f"item[{data[INDEX]}] {item if len(item) <= _LONGEST else f'{item[:_LONGEST]} …'}"
