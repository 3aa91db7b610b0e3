"""The money that sagas have moved, with that of the sagas which their steps have started.

A page of a list costs as many queries as one saga: one for each generation of sagas, and one for all journals. Only
sagas whose table moves money, or may start one that does, are read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Row

from app.store import queries
from app.store.loading import table_of
from app.store.models import SagaRow
from app.store.saga_ids import short_id
from app.views.known_effects import effects_of_all
from app.views.masking import shown
from app.views.states import state_of
from app.views.titles import known_table, participant_title
from machines.amounts import added
from machines.children import INDEX
from machines.history import StepEffect, replies
from machines.registry import Registry
from machines.saga import Saga
from machines.titles import GOES_ON, Money, money_moved
from machines.transitions import Phase

#: Most sagas below one saga, below all sagas of a list, and below a part of an export, whose money is added up: each of
#: these sagas takes some 0.1 ms.
_MOST_OF_SAGA, _MOST_OF_LIST, _MOST_OF_EXPORT = 500, 300, 3_000
#: What is said of a step whose sagas are not all read, or are of a table that this release does not have.
NOT_ADDED = "what the sagas below have moved is not added up: open them"


@dataclass(frozen=True, kw_only=True)
class MoneyLine:
    """What a step has done with money, or what the sagas below a step have done alike."""

    #: Most sagas that a line names.
    NAMED: ClassVar[int] = 3

    #: The amount, such as "109.88 EUR"; "": not known.
    text: str
    #: What has happened to it, such as "taken from customer 4, not given back".
    fate: str
    #: The sagas below that have done it; none: the saga itself.
    sagas: Sequence[SagaRow] = ()

    @property
    def words(self) -> str:
        return f"{self.text} {self.fate}".strip()

    def __str__(self) -> str:
        if not self.sagas:
            return self.words
        names = [f"{each.definition} {short_id(each.id)}" for each in self.sagas[: self.NAMED]]
        more = [f"{len(self.sagas) - self.NAMED} more"] if len(self.sagas) > self.NAMED else []
        return f"{self.words} ({', '.join(names + more)})"


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a saga stands in the tree of the saga that is shown, its root."""

    row: SagaRow
    root: UUID
    #: Step of the root; "": the saga is the root.
    step: str = ""
    #: The customer: the client of the saga, or that of the nearest saga above it that has one.
    client: str | None
    #: True: a saga above it goes back, or is stuck, so what this one has taken should not stay.
    goes_back: bool = False


@dataclass(frozen=True, kw_only=True)
class _Moved:
    """The money that one step has moved. None: nobody can say what the sagas below a step have moved."""

    at: _Place
    money: Money | None


def money_lines(
    registry: Registry, definition: Saga, row: SagaRow, effects: Sequence[StepEffect], results: Mapping[str, Any]
) -> dict[str, list[MoneyLine]]:
    """Return step → what it has done with money, and what the sagas that it has started have done.

    row and effects: of one saga, as people may see it. results: step → its reply.
    """
    if definition.name not in registry.with_money:
        return {}
    at = _Place(row=row, root=row.id, client=_customer(row))
    moved = {effect.step.name: [each] for effect in effects if (each := _of_step(definition, at, effect, results))}
    places, unread = _tree(registry, [at] if definition.starts_others else [], _MOST_OF_SAGA)
    for each in (*_moved(registry, places), *_unknown(unread)):
        moved.setdefault(each.at.step, []).append(each)
    return {step: _lines(of_step) for step, of_step in moved.items()}


def amounts_of(registry: Registry, rows: Sequence[SagaRow | Row[Any]]) -> Mapping[UUID, Sequence[MoneyLine]]:
    """Return what is known of the money of the sagas of a list, such as `109.88 EUR`, `taken, and given back`.

    The customer is named only where it is not the client of the saga.
    """
    return {saga_id: _lines(moved) for saga_id, moved in _of_list(registry, rows, _MOST_OF_LIST).items()}


def amounts_for_export(registry: Registry, rows: Sequence[Row[Any]]) -> Mapping[UUID, tuple[str | None, str]]:
    """Return for each saga its amount as a number alone, and what its steps have done with money in words.

    The number: the first amount of the saga's own steps, else the sum of what has moved below it in one currency.
    """
    found = {}
    for saga_id, moved in _of_list(registry, rows, _MOST_OF_EXPORT).items():
        own = [each.money.number for each in moved if each.money and not each.at.step]
        known = [each.money for each in moved if each.money and each.money.moved]
        one_currency = len(known) == len(moved) and len({each.currency for each in known}) == 1
        number = own[0] if own else added([each.number for each in known]) if one_currency else None
        found[saga_id] = number, "; ".join(line.words for line in _lines(moved))
    return found


def _of_list(registry: Registry, rows: Sequence[SagaRow | Row[Any]], most: int) -> dict[UUID, list[_Moved]]:
    """Return the money of the sagas of a list, and of those below them. A list without money costs no query."""
    ids = [row.id for row in rows if row.definition in registry.with_money]
    if not ids:
        return {}
    sagas, found = queries.sagas(ids), dict[UUID, list[_Moved]]()
    roots = [_Place(row=row, root=saga_id, client=row.client) for saga_id, row in sagas.items()]
    places, unread = _tree(registry, roots, most)
    named = (replace(at, client=None if at.client == sagas[at.root].client else at.client) for at in places)
    for each in (*_moved(registry, [*(replace(at, client=None) for at in roots), *named]), *_unknown(unread)):
        found.setdefault(each.at.root, []).append(each)
    return found


def _tree(registry: Registry, roots: Sequence[_Place], most: int) -> tuple[list[_Place], list[_Place]]:
    """Return the sagas below these, and the first ones that are not read because a step has started too many.

    most: of each generation.
    """
    found, unread = list[_Place](), list[_Place]()
    level = {at.row.id: at for at in roots if _starts_others(registry, at.row)}
    while level:
        of_step, below = max(1, most // len(level)), list[_Place]()
        for row in queries.first_started(level, registry.with_money, of_step + 1):
            above = level[row.parent_id]
            here = state_of(registry, (above.row.definition, above.row.definition_version, above.row.state))
            at = _Place(
                row=row,
                root=above.root,
                step=above.step or row.parent_step or "",
                client=row.client or above.client,
                goes_back=above.goes_back or (here is not None and here.phase not in GOES_ON),
            )
            (below if (row.child_number or 0) <= of_step else unread).append(at)
        found += below
        level = {at.row.id: at for at in below if _starts_others(registry, at.row)}
    return found, unread


def _starts_others(registry: Registry, row: SagaRow) -> bool:
    table = known_table(registry, row)
    return table is None or table.starts_others


def _moved(registry: Registry, places: Sequence[_Place]) -> list[_Moved]:
    """Return what each step of these sagas has done with money."""
    if not places:
        return []
    tables = filter(None, (known_table(registry, at.row) for at in places))
    amounts = {step.name: step.amount for table in set(tables) for step in table.steps if step.amount is not None}
    sources = {amount.reference.partition(".")[0] for amount in amounts.values()}
    journals = queries.journals([at.row.id for at in places], replies_of=sources, moves_of=sources | amounts.keys())
    read = [(at, *shown(registry, at.row, journals[at.row.id])) for at in places]
    known = [(at, table_of(registry, row, journal), row, journal) for at, row, journal in read]
    effects = effects_of_all([(table, row, journal) for _, table, row, journal in known if table is not None])
    found = _unknown(at for at, table, *_ in known if table is None and at.step)
    for at, table, row, journal in known:
        results = replies(journal)
        seen = at if row is at.row else replace(at, row=row)
        moved = (_of_step(table, seen, each, results) for each in effects.get(row.id, ()) if table)
        found += filter(None, moved)
    last = {_key(each.at.row): each.at.row.child_number for each in found}
    return [each for each in found if not _is_replaced(each, last)]


def _unknown(places: Iterable[_Place]) -> list[_Moved]:
    return [_Moved(at=at, money=None) for at in places]


def _of_step(table: Saga, at: _Place, effect: StepEffect, results: Mapping[str, Any]) -> _Moved | None:
    phase = table.states[at.row.state].phase
    if at.goes_back and phase in GOES_ON:
        phase = Phase.UNDOING
    money = money_moved(
        effect, at.client, phase=phase, data=at.row.data, results=results, participant=participant_title
    )
    return _Moved(at=at, money=money) if money else None


def _lines(moved: Sequence[_Moved]) -> list[MoneyLine]:
    """Return a line for all money that went the same way. When a saga below is not read, no money below is added."""
    is_whole, alike = all(each.money for each in moved), dict[tuple[str, str], list[_Moved]]()
    for each in moved:
        if each.money and (is_whole or not each.at.step):
            alike.setdefault((each.money.currency, each.money.fate), []).append(each)
    lines = [
        MoneyLine(
            text=f"{added([each.money.number for each in group if each.money])} {currency}".strip(),
            fate=fate,
            sagas=tuple(each.at.row for each in group if each.at.step),
        )
        for (currency, fate), group in alike.items()
    ]
    return lines if is_whole else [*lines, MoneyLine(text="", fate=NOT_ADDED)]


def _key(row: SagaRow) -> tuple[object, ...]:
    """Return the same for a saga and for the one that a retry has started in its place."""
    return row.parent_id, row.parent_step, row.definition, row.data.get(INDEX)


def _is_replaced(each: _Moved, last: Mapping[tuple[object, ...], int | None]) -> bool:
    """Return True when a retry has started another saga in the place of one that has moved no money."""
    unmoved = each.money is not None and not each.money.moved
    return bool(each.at.step) and unmoved and last[_key(each.at.row)] != each.at.row.child_number


def _customer(row: SagaRow) -> str | None:
    """Return the client of a saga, or that of the nearest saga above it that has one: a branch has none of its own."""
    above: SagaRow | None = row
    while above is not None and above.client is None and above.parent_id is not None:
        above = queries.find(above.parent_id)
    return above.client if above is not None else None
