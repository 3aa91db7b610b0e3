"""Values in the place of those of a saga: an example for each secret, and on request a stand-in for every value.

The same value has the same stand-in everywhere. A value that a condition, `means=` or the end of a pause reads is kept,
because the saga goes its way by it; so are booleans, choices, null and the names of fields.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from machines.branches import BranchTable
from machines.children import INDEX
from machines.conditions import references_of
from machines.fields import Field, FieldKind
from machines.history import JournalEntry
from machines.keeps import kept_of
from machines.references import MASKED, parts
from machines.saga import Saga
from machines.samples import example_of
from machines.step import Step
from machines.transitions import Direction, Trigger

#: Field, value and path of a single value → the value instead.
_Replace = Callable[[Field, Any, tuple[str, ...]], Any]
_ANYTHING = Field(kind=FieldKind.ANYTHING)
_FIRST_DAY = dt.date(2000, 1, 1)
#: A smaller range of numbers is kept: it has too few values to stand for others, and names nobody.
_SMALL_RANGE = 1_000


class _Row:
    """A row of the journal with other values in some columns."""

    def __init__(self, row: Any, **instead: Any) -> None:
        self.__dict__.update(instead)
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


def without_secrets(
    definition: Saga, data: Mapping[str, Any], journal: Sequence[JournalEntry]
) -> tuple[dict[str, Any], list[JournalEntry]]:
    """Return the data and the journal with an example for each secret value. They come masked from the database."""
    return _replaced(definition, data, journal, lambda field, value, _path: _example(field, value))


def redacted(
    definition: Saga, data: Mapping[str, Any], journal: Sequence[JournalEntry], stand_ins: "StandIns"
) -> tuple[dict[str, Any], list[JournalEntry]]:
    """Return the data and the journal with a stand-in for each value of a person, a number or a text.

    stand_ins: those of the whole tree, so that parent and children have the same ones.
    """
    kept = read_values(definition)
    changed, rows = _replaced(
        definition,
        data,
        journal,
        lambda field, value, path: value if path in kept else stand_ins(field, value, path[-1]),
    )
    hidden = [_Row(row, reason=_reason(row, stand_ins)) for row in rows]
    return changed, cast("list[JournalEntry]", hidden)


def read_values(definition: Saga) -> frozenset[tuple[str, ...]]:
    """Return the path of each value by which the saga goes its way: fields of the data, or a step and its fields."""
    found: list[tuple[str, ...]] = []
    if isinstance(definition, BranchTable) and definition.of_items:
        found.append((INDEX,))  # it says which item the branch is for
    for step in definition.steps:
        found += [parts(each) for each in (references_of(step.when) if step.when else ())]
        if step.waits is not None and step.waits.until is not None:
            found.append(parts(step.waits.until))
        names = [path for call in step.calls for path in call.means if isinstance(path, str)]
        names += step.waits.means if step.waits else ()
        found += [(step.name, *parts(name)) for name in names]
    return frozenset(found)


class StandIns:
    """The stand-ins of one tree of sagas: the same value has the same stand-in, whatever field it is in."""

    def __init__(self) -> None:
        #: Value → number of its stand-in, and the name that it was first found under.
        self._found: dict[str, tuple[int, str]] = {}

    def __call__(self, field: Field, value: Any, name: str) -> Any:
        """Return the stand-in of a single value. name: of its field, the first word of a stand-in for a text."""
        if value is None or isinstance(value, bool) or field.kind in (FieldKind.CHOICE, FieldKind.BOOLEAN):
            return value
        number, name = self._found.setdefault(str(value), (len(self._found) + 1, name))
        if isinstance(value, (int, float, Decimal)):
            return _number(field, value, number)
        return _text(field, str(value), name, number)


def _number(field: Field, value: Any, number: int) -> Any:
    low, high = (field.low, field.high) if field.high else (0, _SMALL_RANGE * _SMALL_RANGE)
    if high - low < _SMALL_RANGE:
        return value
    near = int(low) + _SMALL_RANGE + number if low + _SMALL_RANGE + number <= high else int(low) + number
    return near if isinstance(value, int) else type(value)(str(near))


def _text(field: Field, value: str, name: str, number: int) -> str:
    match field.kind:
        case FieldKind.UUID:
            return str(UUID(int=number))
        case FieldKind.DATE:
            return (_FIRST_DAY + dt.timedelta(days=number)).isoformat()
        case FieldKind.DATETIME:
            return f"{(_FIRST_DAY + dt.timedelta(days=number)).isoformat()}T00:00:00Z"
        case FieldKind.DECIMAL:
            return f"{_number(field, Decimal(value), number):.{field.places}f}" if field.places else value
    text = f"{name}-{number}"
    if not field.high:
        return text
    text = text if len(text) <= field.high else str(number)[-int(field.high) :]
    return text.ljust(int(field.low), "x")


def _example(field: Field, value: Any) -> Any:
    return example_of(field) if field.secret or value is MASKED or value == str(MASKED) else value


def _replaced(
    definition: Saga, data: Mapping[str, Any], journal: Sequence[JournalEntry], by: _Replace
) -> tuple[dict[str, Any], list[JournalEntry]]:
    """Return data and journal with each value replaced. by: field, value, path → the value instead."""
    fields = Field(kind=FieldKind.OBJECT, items=definition.data)
    steps = {step.name: step for step in definition.steps}
    rows = [
        _Row(row, reply=_reply(steps.get(row.step or ""), row, by)) if row.reply is not None else row for row in journal
    ]
    return dict(_walk(fields, data, (), by)), cast("list[JournalEntry]", rows)


def _reply(step: Step | None, row: JournalEntry, by: _Replace) -> Any:
    """Return a stored reply with its values replaced. A value that the step keeps has a field, any other has none."""
    if step is None or row.trigger in (Trigger.BEGIN, Trigger.SKIP):
        return row.reply
    keeps: Mapping[str, Any] = step.keeps if row.direction != Direction.UNDO else {}
    kept = {parts(name): kept_of(name, declared).field for name, declared in keeps.items()}
    return _walk(_ANYTHING, row.reply, (step.name,), by, kept)


def _walk(
    field: Field, value: Any, path: tuple[str, ...], by: _Replace, kept: Mapping[tuple[str, ...], Field] | None = None
) -> Any:
    """Replace each single value. kept: path within a reply → its field."""
    if kept and path[1:] in kept:
        field, kept = kept[path[1:]], None
    if isinstance(value, Mapping) and not field.secret:
        items = field.items or {}
        return {name: _walk(items.get(name, _ANYTHING), each, (*path, name), by, kept) for name, each in value.items()}
    if isinstance(value, (list, tuple)) and not field.secret:
        item = field.item or (Field(kind=FieldKind.OBJECT, items=field.items) if field.items else _ANYTHING)
        return [_walk(item, each, (*path, str(number)), by, kept) for number, each in enumerate(value)]
    return by(field, value, path)


def _reason(row: Any, stand_ins: StandIns) -> str | None:
    """Return the reason without the participant's words. The words of this service, before and after them, are kept."""
    if row.reason and (row.step is None or row.trigger == Trigger.RESOLVE):
        return str(stand_ins(_ANYTHING, row.reason, "reason"))  # a person wrote it
    if row.reason is None or row.status_code is None:
        return cast("str | None", row.reason)
    before, status, words = str(row.reason).partition(str(row.status_code))
    words, added, rest = words.partition(", after an attempt")
    if not words.strip():
        return str(row.reason)
    return f"{before}{status} {stand_ins(_ANYTHING, words.strip(), 'reason')}{added}{rest}"
