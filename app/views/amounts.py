"""The amount of each saga of a list: what the first step of its table with an amount takes or pays."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.store import queries
from app.store.loading import table_of
from app.store.models import JournalRow, SagaRow
from app.views.known_effects import effects_of_all
from app.views.masking import shown
from app.views.titles import money_of
from machines.amounts import Amount, amount_text, money_text
from machines.history import replies
from machines.registry import Registry, UnknownSagaError
from machines.saga import Saga


def amounts_of(registry: Registry, rows: Sequence[SagaRow | Row[Any]]) -> Mapping[UUID, tuple[str, str]]:
    """Return the amounts that are known, and what became of them, such as `109.88 EUR`, `taken, and given back`."""
    found: dict[UUID, tuple[str, str]] = {}
    named = list(_with_amounts(registry, rows))
    effects = effects_of_all([(table, saga, journal) for saga, journal, table, _ in named if table is not None])
    for saga, journal, table, amount in named:
        results = replies(journal)
        if (text := money_text(amount, saga.data, results)) is not None:
            effect = next((each for each in effects.get(saga.id, ()) if each.step.amount == amount), None)
            words = money_of(table, effect, saga, results, names_client=False) if table and effect else ""
            found[saga.id] = text, words.removeprefix(text).strip()
    return found


def numbers_of(registry: Registry, rows: Sequence[SagaRow | Row[Any]]) -> Mapping[UUID, str]:
    """Return the amounts that are known, as numbers alone, which programs read."""
    texts = {
        saga.id: amount_text(amount, saga.data, replies(journal))
        for saga, journal, _, amount in _with_amounts(registry, rows)
    }
    return {saga_id: text for saga_id, text in texts.items() if text is not None}


def _with_amounts(
    registry: Registry, rows: Sequence[SagaRow | Row[Any]]
) -> Iterator[tuple[SagaRow, Sequence[JournalRow], Saga | None, Amount]]:
    """Yield the sagas whose table names an amount, as people may see them. A list without one costs no query.

    The table is None when this release has none that fits the saga.
    """
    named = {row.id: amount for row in rows if (amount := _amount(registry, row)) is not None}
    if not named:
        return
    steps = {amount.reference.partition(".")[0] for amount in named.values()}
    found, journals = queries.sagas(list(named)), queries.journals(list(named), replies_of=steps)
    for saga_id, stored in found.items():
        saga, journal = shown(registry, stored, journals[saga_id])
        yield saga, journal, table_of(registry, saga, journal), named[saga_id]


def _amount(registry: Registry, row: SagaRow | Row[Any]) -> Amount | None:
    try:
        table = registry.get(row.definition, row.definition_version)
    except UnknownSagaError:
        return None
    return next((step.amount for step in table.steps if step.amount is not None), None)
