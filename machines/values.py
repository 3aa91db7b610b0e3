"""The check that each value of a table has its type and lies within its bounds, made before anything is derived."""

import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any
from uuid import UUID

from machines.call import Call
from machines.fields import LARGEST_AMOUNT, LARGEST_INTEGER, LONGEST_TEXT, Field, FieldKind
from machines.step import Kind, Retry, Step
from machines.table import Table

#: Ten years, in seconds. A longer wait is a typing error, and dates beyond year 9999 cannot be stored.
LONGEST_WAIT_S = 10 * 366 * 86_400
#: One hour, in seconds. During a call the saga holds a thread and a lease.
LONGEST_CALL_S = 3_600
MOST_ATTEMPTS = 1_000_000  # bound of Retry.attempts
LARGEST_FACTOR = 100  # bound of Retry.factor
LARGEST_VERSION = 2**31 - 1  # largest value of the database column
MOST_CHARACTERS = 1_000_000  # bound of a text field's low and high
MOST_ITEMS = 100_000  # bound of a list field's low and high
DEEPEST_LIST = 5  # most levels of lists, one inside the other

#: Names of fields. They stand in references, where dots and braces have a meaning.
_FIELD_NAME = re.compile(r"[^\s.{}/]{1,64}")
#: Characters that no JSON reader and no database keeps, see app.values.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

Problems = Iterator[tuple[Step | None, str]]


def value_problems(table: Table) -> Problems:
    """Yield each value with a wrong type or out of bounds, with its step."""
    saga_level = list(_saga_problems(table))
    yield from ((None, problem) for problem in saga_level)
    if saga_level:
        return
    for name, field in table.data.items():
        yield from ((None, f"field {name!r}: {problem}") for problem in _field_problems(name, field, DEEPEST_LIST))
    for column in ("client", "store"):
        yield from ((None, problem) for problem in _search_problems(table, column))
    yield from ((None, problem) for problem in _order_problems(table))
    for step in table.steps:
        yield from ((step, problem) for problem in _step_problems(step))


def _saga_problems(table: Table) -> Iterator[str]:
    for column in ("name", "initial", "completed", "compensated"):
        yield from _no_text(f"{column}=", getattr(table, column))
    for column in ("client", "store", "order", "started_by"):
        if getattr(table, column) is not None:
            yield from _no_text(f"{column}=", getattr(table, column))
    yield from _out_of("version=", table.version, 1, LARGEST_VERSION, whole=True)
    yield from _out_of("deadline_s=", table.deadline_s, 0, LONGEST_WAIT_S, above=True)
    for column, what, example in (
        ("participants", str, "('stock',)"),
        ("steps", Step, "(read(…), pivot(…)), with a comma after the only one"),
    ):
        values = getattr(table, column)
        if not isinstance(values, (tuple, list)):
            yield f"{column}= is {_shown(values)}, no tuple; write {example}"
        elif wrong := [value for value in values if not isinstance(value, what)]:
            mend = "names in quotes" if what is str else "read(…), compensatable(…), pivot(…) or retriable(…)"
            yield f"{column}= holds {_shown(wrong[0])}; write {mend}"
    data, events = _any(table, "data"), _any(table, "events")
    if not isinstance(data, Mapping):
        yield f"data= is {_shown(data)}, no dict; write {{'name': text()}}"
    if not isinstance(events, Mapping):
        yield f"events= is {_shown(events)}, no dict; write {{'STATE': 'EventName'}}"
    else:
        for state, event in events.items():
            yield from _no_text("events= names", state)
            yield from _no_text(f"the event of {_shown(state)}", event)


def _field_problems(name: object, field: object, depth: int) -> Iterator[str]:
    if not isinstance(name, str) or not (_FIELD_NAME.fullmatch(name) and name.isprintable()):
        yield "it is not the name of a field; use letters, digits and underscores"
        return
    if not isinstance(field, Field):
        mend = "write text(), integer(), amount(), uuid() or list_of({'name': text()})"
        yield f"it is {_shown(field)}, no field; {mend}"
        return
    if not isinstance(kind := _any(field, "kind"), FieldKind):
        yield f"its kind {_shown(kind)} is none; use text(), integer(), amount(), uuid() or list_of()"
        return
    bounds = list(_bound_problems(field))
    yield from bounds
    if field.kind is FieldKind.LIST:
        yield from _item_problems(field, depth)
    elif field.items is not None:
        yield f"items= is for list_of() alone, and {field.kind} would ignore it; take it out"
    elif not bounds:
        for column in ("default", "example"):
            value = getattr(field, column)
            if value is not None and not _fits(field, value):
                yield f"{column}={_shown(value)} is not what the field allows; {_allowed(field)}"
            elif isinstance(value, str):
                yield from _unstorable(f"{column}=", value)


def _item_problems(field: Field, depth: int) -> Iterator[str]:
    if field.default is not None or field.example is not None:
        yield "a list has no default= and no example=; give its items theirs"
    if not isinstance(field.items, Mapping) or not field.items:
        yield f"list_of() takes the fields of an item, not {_shown(field.items)}; write list_of({{'name': text()}})"
    elif depth == 0:
        yield f"its lists are nested deeper than {DEEPEST_LIST}; send the inner ones as lists of their own"
    else:
        for name, item in field.items.items():
            yield from (f"item {name!r}: {problem}" for problem in _field_problems(name, item, depth - 1))


def _bound_problems(field: Field) -> Iterator[str]:
    whole = field.kind is not FieldKind.AMOUNT
    least, most = {
        FieldKind.INTEGER: (-LARGEST_INTEGER - 1, LARGEST_INTEGER),
        FieldKind.AMOUNT: (0, LARGEST_AMOUNT),
        FieldKind.TEXT: (0, MOST_CHARACTERS),
        FieldKind.UUID: (0, 0),
        FieldKind.LIST: (0, MOST_ITEMS),
    }[field.kind]
    wrong = [
        problem
        for column in ("low", "high")
        for problem in _out_of(f"{column}=", getattr(field, column), least, most, whole=whole)
    ]
    yield from wrong
    if not wrong and field.low > field.high:
        yield f"low={field.low} is above high={field.high}, so that no value fits; mend one of them"


def _fits(field: Field, value: Any) -> bool:
    match field.kind:
        case FieldKind.TEXT:
            return isinstance(value, str) and field.low <= len(value) <= field.high
        case FieldKind.UUID:
            return isinstance(value, str) and _is_uuid(value)
        case FieldKind.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool) and field.low <= value <= field.high
        case _:
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return number and field.low <= value <= field.high and round(value, 2) == value


def _allowed(field: Field) -> str:
    match field.kind:
        case FieldKind.TEXT:
            return f"give a text of {field.low} to {field.high} characters"
        case FieldKind.UUID:
            return "give a UUID in lower case, with its four hyphens"
        case FieldKind.INTEGER:
            return f"give an integer from {field.low} to {field.high}"
        case _:
            return f"give a number from {field.low} to {field.high} with two decimals at most"


def _is_uuid(value: str) -> bool:
    try:
        return str(UUID(value)) == value.lower()
    except ValueError:
        return False


def _search_problems(table: Table, column: str) -> Iterator[str]:
    """Yield a problem when the column's field cannot be indexed: sagas are searched by it in the database."""
    field = table.data.get(getattr(table, column) or "")
    if isinstance(field, Field) and field.kind is FieldKind.LIST:
        yield f"{column}={getattr(table, column)!r} is a list; name a field that holds one value"
    elif isinstance(field, Field) and field.kind is FieldKind.TEXT and field.high > LONGEST_TEXT:
        long = f"may hold {field.high} characters, and what a saga is looked for by has {LONGEST_TEXT} at most"
        yield f"{column}={getattr(table, column)!r} {long}; give the field high={LONGEST_TEXT}"


def _order_problems(table: Table) -> Iterator[str]:
    yield from _unstorable("order=", table.order or "")
    field = table.data.get(table.order or "")
    if isinstance(field, Field) and field.kind is FieldKind.LIST:
        yield f"order={table.order!r} is a list; name a field that holds one value"


def _step_problems(step: Step) -> Iterator[str]:
    yield from _no_text("its name", step.name)
    if not isinstance(kind := _any(step, "kind"), Kind):
        yield f"its kind {_shown(kind)} is none; use read(), compensatable(), pivot() or retriable()"
    yield from _no_text("done=", step.done)
    for column in ("refused", "doing", "undoing"):
        if getattr(step, column) is not None:
            yield from _no_text(f"{column}=", getattr(step, column))
    for column in ("call", "undo", "probe"):
        call = getattr(step, column)
        if isinstance(call, Call):
            yield from (f"{column}: {problem}" for problem in _call_problems(call))
        elif call is not None or column == "call":
            yield f"{column} is {_shown(call)}, no call; write get('participant', '/path') or post(…)"
    yield from _out_of("timeout_s=", step.timeout_s, 0, LONGEST_CALL_S, above=True)
    yield from _out_of("dwell_s=", step.dwell_s, 0, LONGEST_WAIT_S, above=True)
    if isinstance(retry := _any(step, "retry"), Retry):
        yield from _retry_problems(retry)
    else:
        yield f"retry= is {_shown(retry)}; write Retry(attempts=3)"


def _retry_problems(retry: Retry) -> Iterator[str]:
    yield from _out_of("retry: attempts=", retry.attempts, 1, MOST_ATTEMPTS, whole=True)
    yield from _out_of("retry: base_s=", retry.base_s, 0, LONGEST_WAIT_S)
    yield from _out_of("retry: factor=", retry.factor, 1, LARGEST_FACTOR)
    yield from _out_of("retry: cap_s=", retry.cap_s, 0, LONGEST_WAIT_S)


def _call_problems(call: Call) -> Iterator[str]:
    if call.method not in _METHODS:
        yield f"its method {_shown(call.method)} is none of {', '.join(_METHODS)}; use get() or post()"
    yield from _no_text("its participant", call.participant)
    yield from _no_text("its path", call.path)
    if not isinstance(body := _any(call, "body"), Mapping):
        yield f"its body is {_shown(body)}, no dict; write post('participant', '/path', name='field')"
        return
    if body and call.method == "GET":
        yield "a GET is sent without its body; put the value into the path as {field}, or use post()"
    for name, reference in body.items():
        if not isinstance(name, str):
            yield f"its body names {_shown(name)}; write a text"
            continue
        yield from _unstorable("its body names", name)
        if not isinstance(reference, str):
            flat = f"write {name}='field' for one of data, or {name}='step.field' for one of an earlier reply"
            yield f"its body's {name!r} is {_shown(reference)}, no reference; {flat}"
        else:
            yield from _unstorable(f"its body's {name!r} is", reference)


def _any(owner: object, column: str) -> Any:
    """Return a column's value as Any: its type is not certain, because an author need not run a type checker."""
    return getattr(owner, column)


def _no_text(what: str, value: object) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{what} {_shown(value)} is no text; write a name in quotes"


def _unstorable(what: str, text: str) -> Iterator[str]:
    if _UNSTORABLE.search(text):
        yield f"{what} {_shown(text)}, which has a NUL or a lone surrogate that no JSON may have; take it out"


def _out_of(
    what: str, value: Any, least: float, most: float, *, whole: bool = False, above: bool = False
) -> Iterator[str]:
    """Yield a problem for a number out of its bounds, or for a fraction where only whole numbers are legal."""
    kinds = int if whole else (int, float)
    number = isinstance(value, kinds) and not isinstance(value, bool) and (isinstance(value, int) or isfinite(value))
    if not number or not least <= value <= most or (above and value == least):
        sort = "a whole number" if whole else "a number"
        first = f"above {least}" if above else f"from {least}"
        yield f"{what}{_shown(value)} is out of bounds; give {sort} {first} to {most}"


def _shown(value: object) -> str:
    """Return any value as a short text."""
    text = repr(value) if isinstance(value, (str, int, float, type(None))) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004  one line of an error message
