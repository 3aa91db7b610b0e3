"""The amount of each saga of a list: what the first step of its table with an amount takes or pays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.store import queries
from app.store.models import SagaRow
from app.views.masking import shown
from machines.amounts import Amount, money_text
from machines.history import replies
from machines.registry import Registry, UnknownSagaError


def amounts_of(
    registry: Registry,
    rows: Sequence[SagaRow | Row[Any]],
    words: Callable[[Amount, Mapping[str, Any], Mapping[str, Any]], str | None] = money_text,
) -> Mapping[UUID, str]:
    """Return the amounts that are known, by id of the saga. A list whose tables name no amount costs no query.

    words: `money_text` for people, or `amount_text` for programs, which read the number alone.
    """
    named = {row.id: amount for row in rows if (amount := _amount(registry, row)) is not None}
    if not named:
        return {}
    ids = list(named)
    steps = {amount.reference.partition(".")[0] for amount in named.values()}
    found, journals = queries.sagas(ids), queries.journals(ids, replies_of=steps)
    amounts: dict[UUID, str] = {}
    for saga_id, stored in found.items():
        saga, journal = shown(registry, stored, journals[saga_id])
        if (text := words(named[saga_id], saga.data, replies(journal))) is not None:
            amounts[saga_id] = text
    return amounts


def _amount(registry: Registry, row: SagaRow | Row[Any]) -> Amount | None:
    try:
        table = registry.get(row.definition, row.definition_version)
    except UnknownSagaError:
        return None
    return next((step.amount for step in table.steps if step.amount is not None), None)
