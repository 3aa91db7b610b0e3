"""The checks of the columns by which people find a saga again: client=, store=, order= and tags=."""

from collections import Counter
from collections.abc import Iterator

from machines.check_types import column_of, mend, no_text, shown, unstorable
from machines.fields import LONGEST_TEXT, Field, FieldKind
from machines.table import Table

#: Most tags of a table, because each tag is a row that the start of a saga writes.
MOST_TAGS = 8
#: Kinds of fields whose value cannot be searched for → the reason, in words.
_SEVERAL = {
    FieldKind.LIST: "is a list", FieldKind.OBJECT: "is an object", FieldKind.ANYTHING: "may be a list or an object",
}  # fmt: skip
#: Kinds of fields whose equal values may be written differently, such as 12.5 and 12.50.
_INEXACT = (FieldKind.NUMBER, FieldKind.AMOUNT)


def tag_type_problems(table: Table) -> Iterator[str]:
    """Yield a problem when tags= is not a tuple of texts."""
    tags = column_of(table, "tags")
    if isinstance(tags, (tuple, list)):
        for name in tags:
            yield from no_text("tags= holds", name)
    else:
        yield f"tags= is {shown(tags)}, no tuple; write ('customer',), with a comma after the only one"


def search_value_problems(table: Table) -> Iterator[str]:
    """Yield a problem for each column whose field cannot be indexed: the database searches sagas by its value."""
    for column in ("client", "store"):
        name = getattr(table, column)
        if name is not None:
            yield from _field_problems(table, f"{column}={name!r}", name)
    yield from unstorable("order=", table.order or "")
    field = table.data.get(table.order or "")
    if isinstance(field, Field) and (what := _several(field)):
        yield f"order={table.order!r} {what}; name a field that holds one value"
    for name in table.tags:
        yield from _field_problems(table, f"tags= names {name!r}, which", name)
        yield from _inexact_problems(table, name)


def tag_problems(table: Table) -> Iterator[str]:
    """Yield a problem for each tag that is not a field of the data, and for too many or repeated tags."""
    for name in table.tags:
        if name not in table.data:
            yield f"tags= names {name!r}, which is no field of data; {mend(name, table.data, 'take it out')}"
    for name, times in Counter(table.tags).items():
        if times > 1:
            yield f"tags= names {name!r} twice; take one out"
    if len(table.tags) > MOST_TAGS:
        yield f"tags= names {len(table.tags)} fields, and each costs every start a row; name {MOST_TAGS} at most"


def _field_problems(table: Table, what: str, name: str) -> Iterator[str]:
    field = table.data.get(name)
    if isinstance(field, Field) and (several := _several(field)):
        yield f"{what} {several}; name a field that holds one value"
    elif isinstance(field, Field) and field.kind is FieldKind.TEXT and _is_above(field.high, LONGEST_TEXT):
        long = f"may hold {field.high} characters, and a value to search sagas by has {LONGEST_TEXT} at most"
        yield f"{what} {long}; give the field high={LONGEST_TEXT}"


def _inexact_problems(table: Table, name: str) -> Iterator[str]:
    field = table.data.get(name)
    if isinstance(field, Field) and column_of(field, "kind") in _INEXACT:
        yield f"tags= names {name!r}, whose equal values may be written differently; make it a money() or a decimal()"


def _several(field: Field) -> str | None:
    kind = column_of(field, "kind")  # an author may write any value, a list too
    return _SEVERAL.get(kind) if isinstance(kind, FieldKind) else None


def _is_above(value: object, most: int) -> bool:
    return isinstance(value, (int, float)) and value > most  # an author may write any value
