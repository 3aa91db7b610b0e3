"""The money that sagas have moved, with that of the sagas which their steps have started.

A page of a list costs as many queries as one saga: one for each generation of sagas, and one for all journals. Only
sagas whose table moves money, or may start one that does, are read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Row

from app.services import services
from app.store import queries
from app.store.loading import table_of
from app.store.models import SagaRow
from app.store.saga_ids import short_id
from app.views.known_effects import effects_of_all
from app.views.masking import shown
from app.views.states import state_of
from app.views.titles import known_table, participant_title, saga_words
from machines.amounts import added
from machines.children import INDEX
from machines.history import StepEffect, replies
from machines.registry import Registry
from machines.saga import Saga
from machines.titles import GOES_ON, SUMS, Money, money_moved
from machines.transitions import Phase

#: Most sagas below one saga, below all sagas of a list, and below a part of an export, whose money is added up: each of
#: these sagas takes some 0.1 ms.
_MOST_OF_SAGA, _MOST_OF_LIST, _MOST_OF_EXPORT = 500, 300, 3_000
#: Most sagas of a page of a list. A longer list is added up as a part of an export is.
_PAGE = 50


def not_added(number: int) -> str:
    """Return what is said of this many sagas below, not all of which are read or of a table of this release."""
    if number == 1:
        return "what the saga below has moved is not added up: open it"
    return f"what the {number:,} sagas below have moved is not added up: open them"


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
        names = [f"{saga_words(services().registry, row)} {short_id(row.id)}" for row in self.sagas[: self.NAMED]]
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
    #: Without money: how many sagas it stands for.
    sagas: int = 1


@dataclass(frozen=True, kw_only=True)
class ListMoney:
    """The money of the sagas of a list, and of those below them."""

    #: Saga → what is known of its money, such as `109.88 EUR`, `taken, and given back`.
    lines: Mapping[UUID, Sequence[MoneyLine]]
    #: For each currency what was taken, given back and so on: `219.76 EUR taken, 109.88 EUR given back`. What is not
    #: added up comes last.
    total: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ExportedMoney:
    """The money of a saga, and of those below it, in the columns of an export."""

    #: The money of the saga in one currency, and its currency; None: there is none, or it is not added up.
    amount: str | None
    currency: str | None
    #: Each of `machines.titles.SUMS` → its sum in this currency. Several currencies: sums with their currencies.
    sums: Mapping[str, str]
    words: str


NO_MONEY = ExportedMoney(amount=None, currency=None, sums={}, words="")


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
    for each in (*_moved(registry, places), *unread):
        moved.setdefault(each.at.step, []).append(each)
    return {step: _lines(of_step) for step, of_step in moved.items()}


def list_money(registry: Registry, rows: Sequence[SagaRow | Row[Any]]) -> ListMoney:
    """Return the money of the sagas of a list. The customer is named only where it is not the client of the saga."""
    found = _of_list(registry, rows, _MOST_OF_LIST if len(rows) <= _PAGE else _MOST_OF_EXPORT)
    counted = dict[UUID, UUID]()  # a saga may stand on the list, and below another saga of it
    moved = [
        each
        for of_saga in found.values()
        for each in of_saga
        if counted.setdefault(each.at.row.id, each.at.root) == each.at.root
    ]
    total = [
        ", ".join(f"{_priced(number, currency)} {word}" for word, number in sums.items())
        for currency, sums in _sums(moved).items()
    ]
    unread = sum(each.sagas for each in moved if each.money is None)
    return ListMoney(
        lines={saga_id: _lines(of_saga) for saga_id, of_saga in found.items()},
        total=[*(total or ["no money has moved"]), *([not_added(unread)] if unread else [])] if moved else [],
    )


def money_for_export(registry: Registry, rows: Sequence[Row[Any]]) -> Mapping[UUID, ExportedMoney]:
    """Return for each saga its money in the columns of an export.

    The amount is the sum of all that has moved or may have; else of what has not. A saga of which a part is not added
    up has no sums.
    """
    return {saga_id: _exported(moved) for saga_id, moved in _of_list(registry, rows, _MOST_OF_EXPORT).items()}


def _exported(moved: Sequence[_Moved]) -> ExportedMoney:
    words, known = "; ".join(line.words for line in _lines(moved)), [each.money for each in moved if each.money]
    if len(known) < len(moved):
        return ExportedMoney(amount=None, currency=None, sums={}, words=words)
    own = [each.money for each in moved if each.money and not each.at.step]
    of_amount, sums = [each for each in known if each.moved] or own, _sums(moved)
    currencies = list(dict.fromkeys(each.currency for each in known))
    numbers = {of: [each.number for each in of_amount if each.currency == of] for of in currencies}
    amounts = {of: added(of_currency) for of, of_currency in numbers.items() if of_currency}
    if len(currencies) > 1:
        amounts = {of: _priced(number, of) for of, number in amounts.items()}
        sums = {of: {word: _priced(number, of) for word, number in each.items()} for of, each in sums.items()}
    return ExportedMoney(
        amount="; ".join(amounts.values()) or None,
        currency=currencies[0] if len(currencies) == 1 else None,
        sums={word: "; ".join(each[word] for each in sums.values() if word in each) for word in SUMS},
        words=words,
    )


def _sums(moved: Iterable[_Moved]) -> dict[str, dict[str, str]]:
    """Return currency → each of `machines.titles.SUMS` that there is → its sum."""
    numbers = dict[str, dict[str, list[str]]]()
    for each in filter(None, (each.money for each in moved)):
        for word in each.sums:
            numbers.setdefault(each.currency, {}).setdefault(word, []).append(each.number)
    return {
        currency: {word: added(of_word[word]) for word in SUMS if word in of_word}
        for currency, of_word in numbers.items()
    }


def _of_list(registry: Registry, rows: Sequence[SagaRow | Row[Any]], most: int) -> dict[UUID, list[_Moved]]:
    """Return the money of the sagas of a list, and of those below them. A list without money costs no query."""
    ids = [row.id for row in rows if row.definition in registry.with_money]
    if not ids:
        return {}
    sagas, found = queries.sagas(ids), dict[UUID, list[_Moved]]()
    roots = [_Place(row=row, root=saga_id, client=row.client) for saga_id, row in sagas.items()]
    places, unread = _tree(registry, roots, most)
    named = (replace(at, client=None if at.client == sagas[at.root].client else at.client) for at in places)
    for each in (*_moved(registry, [*(replace(at, client=None) for at in roots), *named]), *unread):
        found.setdefault(each.at.root, []).append(each)
    return found


def _tree(registry: Registry, roots: Sequence[_Place], most: int) -> tuple[list[_Place], list[_Moved]]:
    """Return the sagas below these, and what the sagas have moved that are not read because a step has too many.

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
    numbers = (
        queries.number_started({each for at in unread if (each := at.row.parent_id)}, registry.with_money)
        if unread
        else {}
    )
    moved = [_Moved(at=at, money=None, sagas=numbers[at.row.parent_id, at.row.parent_step]) for at in unread]
    return found, moved


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
    found = [_Moved(at=at, money=None) for at, table, *_ in known if table is None and at.step]
    for at, table, row, journal in known:
        results = replies(journal)
        seen = at if row is at.row else replace(at, row=row)
        moved = (_of_step(table, seen, each, results) for each in effects.get(row.id, ()) if table)
        found += filter(None, moved)
    last = {_key(each.at.row): each.at.row.child_number for each in found}
    return [each for each in found if not _is_replaced(each, last)]


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
            text=_priced(added([each.money.number for each in group if each.money]), currency),
            fate=fate,
            sagas=tuple(each.at.row for each in group if each.at.step),
        )
        for (currency, fate), group in alike.items()
    ]
    unread = sum(each.sagas for each in moved if each.money is None)
    return lines if is_whole else [*lines, MoneyLine(text="", fate=not_added(unread))]


def _priced(number: str, currency: str) -> str:
    return f"{number} {currency}".strip()


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
