"""The checks of fields: the fields of a saga's data, and those of the values that a call keeps of its reply."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import isfinite

from machines.accepting import NotAcceptedError, accept
from machines.check_types import column_of, out_of, shown, unstorable
from machines.fields import LARGEST_AMOUNT, LARGEST_INTEGER, MOST_PLACES, Field, FieldKind
from machines.words import Misused

MOST_CHARACTERS = 1_000_000  # largest low= and high= of text(), in characters; a larger bound is a typing error
MOST_ITEMS = 100_000  # largest low= and high= of list_of(), in items; a larger bound is a typing error
MOST_CHOICES = 1_000  # largest number of texts of choice(); an error message lists all of them
DEEPEST_FIELD = 5  # largest number of lists and objects in a field, one inside the other; the checks recurse into them
#: Legal names of fields. A name contains no dots or braces, because they have a meaning in references.
FIELD_NAME = re.compile(r"[^\s.{}/]{1,64}")
_CONSTRUCTORS = "text(), integer(), amount(), money(), boolean(), object_of({…}) or list_of({…})"
_BOUNDS = {
    FieldKind.INTEGER: (-LARGEST_INTEGER - 1, LARGEST_INTEGER),
    FieldKind.AMOUNT: (0, LARGEST_AMOUNT),
    FieldKind.DECIMAL: (-LARGEST_INTEGER - 1, LARGEST_INTEGER),
    FieldKind.TEXT: (0, MOST_CHARACTERS),
    FieldKind.LIST: (0, MOST_ITEMS),
}
#: Kinds whose bounds may have decimals.
_EXACT = frozenset({FieldKind.AMOUNT, FieldKind.DECIMAL})
_DEEP = frozenset({FieldKind.LIST, FieldKind.OBJECT})


def field_problems(name: object, field: object, depth: int = DEEPEST_FIELD) -> Iterator[str]:
    """Yield each problem of one field. depth: how many levels of lists and objects the field can have."""
    if not isinstance(name, str) or not (FIELD_NAME.fullmatch(name) and name.isprintable()):
        yield "it is not the name of a field; use letters, digits and underscores"
        return
    yield from type_problems(field, depth)


def type_problems(field: object, depth: int = DEEPEST_FIELD) -> Iterator[str]:
    if isinstance(field, Misused):
        yield field.problem
        return
    if not isinstance(field, Field):
        yield f"it is {shown(field)}, no field; write {_CONSTRUCTORS}"
        return
    if not isinstance(kind := column_of(field, "kind"), FieldKind):
        yield f"its kind {shown(kind)} is none; use {_CONSTRUCTORS}"
        return
    bounds = list(_bound_problems(field))
    yield from bounds
    yield from _flag_problems(field)
    if field.kind in _DEEP:
        yield from _item_problems(field, depth)
    elif field.items is not None or field.item is not None:
        yield f"items= is for list_of() and object_of() alone, and {field.kind} would ignore it; take it out"
    elif not bounds:
        yield from _value_problems(field)


def _value_problems(field: Field) -> Iterator[str]:
    for column in ("default", "example"):
        value = getattr(field, column)
        if value is None:
            continue
        try:
            accept(field, value)
        except NotAcceptedError:
            yield f"{column}={shown(value)} is not what the field allows; {_allowed(field)}"
        else:
            if isinstance(value, str):
                yield from unstorable(f"{column}=", value)


def _flag_problems(field: Field) -> Iterator[str]:
    for column in ("optional", "nullable", "secret", "personal"):
        if not isinstance(value := column_of(field, column), bool):
            yield f"{column}= is {shown(value)}; write {column}(text())"
    if field.optional is True and field.default is not None:
        yield f"it is optional and has default={shown(field.default)}, so that it is never missing; drop one of them"


def _item_problems(field: Field, depth: int) -> Iterator[str]:
    what = "a list" if field.kind is FieldKind.LIST else "an object"
    constructor = "list_of" if field.kind is FieldKind.LIST else "object_of"
    if field.default is not None or field.example is not None:
        yield f"{what} has no default= and no example=; give its items theirs"
    if depth == 0:
        yield f"its lists are nested deeper than {DEEPEST_FIELD}; send the inner ones as lists of their own"
    elif field.kind is FieldKind.LIST and field.item is not None:
        yield from (f"item: {problem}" for problem in type_problems(field.item, depth - 1))
    elif not isinstance(field.items, Mapping) or not field.items:
        yield (
            f"{constructor}() takes the fields of an item, not {shown(field.items)}; "
            f"write {constructor}({{'name': text()}})"
        )
    else:
        for name, item in field.items.items():
            yield from (f"item {name!r}: {problem}" for problem in field_problems(name, item, depth - 1))


def _bound_problems(field: Field) -> Iterator[str]:
    if field.kind is FieldKind.CHOICE:
        yield from _choice_problems(field)
    if field.kind is FieldKind.DECIMAL:
        yield from out_of("places=", field.places, 0, MOST_PLACES, whole=True)
    wrong = [problem for column in ("low", "high") for problem in _one_bound_problems(field, column)]
    yield from wrong
    if not wrong and field.low > field.high:
        yield f"low={field.low} is above high={field.high}, so that no value fits; correct one of them"


def _one_bound_problems(field: Field, column: str) -> Iterator[str]:
    least, most = _BOUNDS.get(field.kind, (0, 0))
    bound = column_of(field, column)
    if field.kind not in _EXACT:
        yield from out_of(f"{column}=", bound, least, most, whole=True)
    elif isinstance(bound, float) and isfinite(bound):
        yield f"{column}={bound} is a float, and a float is not exact; write {column}={str(bound)!r}"
    elif isinstance(bound, bool) or not isinstance(bound, (int, Decimal)) or not Decimal(bound).is_finite():
        yield f"{column}={shown(bound)} is no number; write {column}=1, or a text such as {column}='0.01'"
    elif not least <= bound <= most:
        yield f"{column}={shown(bound)} is out of bounds; give a number from {least} to {most}"
    elif field.kind is FieldKind.DECIMAL and isinstance(bound, Decimal) and _decimals(bound) > field.places:
        yield f"{column}={bound} has more decimals than places={field.places}; round it"


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _choice_problems(field: Field) -> Iterator[str]:
    choices = column_of(field, "choices")
    if (
        not isinstance(choices, tuple)
        or not choices
        or not all(isinstance(each, str) and each for each in choices)
        or len(choices) > MOST_CHOICES
    ):
        yield f"choice() takes from 1 to {MOST_CHOICES} texts; write choice('SMALL', 'LARGE')"
    elif len(set(choices)) < len(choices):
        yield "one of its texts is listed twice; take one out"
    else:
        for each in choices:
            yield from unstorable("one of its texts is", each)


def _allowed(field: Field) -> str:
    match field.kind:
        case FieldKind.TEXT:
            return f"give a text of {field.low} to {field.high} characters"
        case FieldKind.UUID:
            return "give a UUID in lower case, with its four hyphens"
        case FieldKind.INTEGER:
            return f"give an integer from {field.low} to {field.high}"
        case FieldKind.CHOICE:
            return f"give one of {', '.join(map(str, field.choices))}"
        case FieldKind.AMOUNT:
            return f"give a number from {field.low} to {field.high} with two decimals at most"
        case _:
            return f"give a legal {field.kind}"
