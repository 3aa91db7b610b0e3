"""Forms made from the fields of a table: the inputs of a form, and the values that a person has entered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from app.errors import InvalidError, MalformedError
from app.values import written
from app.views.validation import parsed
from machines.fields import Field, FieldKind
from machines.references import parts
from machines.samples import example_of
from machines.secrets import holds_secret

#: Kinds whose values are JSON that does not fit on one line.
_LARGE = frozenset({FieldKind.LIST, FieldKind.OBJECT, FieldKind.ANYTHING})
_ITEMS, _CHARACTERS = "items", "characters"
#: Longest text that gets an input of one line.
_ONE_LINE = 200


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input of a form."""

    name: str
    #: What a person may enter: "text, 1 to 20 characters, optional".
    hint: str
    #: `select`, `json`, `lines`, `secret`, `date` or `text`.
    kind: str
    #: Text in the input when the form is opened.
    value: str = ""
    #: Values of a `select`.
    choices: tuple[str, ...] = ()
    #: An example in an empty input.
    example: str = ""
    required: bool = False


def inputs(
    fields: Mapping[str, Field], values: Mapping[str, Any] = MappingProxyType({}), *,
    given: Mapping[str, str] | None = None, kept: bool = False,
) -> Sequence[Input]:  # fmt: skip
    """Return the inputs of a form for the fields. A secret is never shown.

    values: field → the value with which its input opens. given: field → the text that a person has entered before,
    instead of the values. kept: an empty secret means the value of an earlier saga, so the input is not required.
    """
    found = (_input(name, field, values.get(name), kept=kept) for name, field in fields.items())
    return tuple(found if given is None else (replace(each, value=given.get(each.name, "")) for each in found))


def texts(fields: Mapping[str, Field], given: Mapping[str, str]) -> dict[str, str]:
    """Return the entered texts that a form may show again: those of fields without secrets."""
    return {name: text for name, text in given.items() if name in fields and not holds_secret(fields[name])}


def entered(fields: Mapping[str, Field], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that a person has entered. An empty input counts as left out, unless its text can be empty.

    A name that is no field is kept, so that the check of the values refuses it. A browser sends each line break as two
    characters; the value has one.
    """
    found: dict[str, Any] = {}
    for name, text in given.items():
        field = fields.get(name)
        if text or (field and field.required and _can_be_empty(field)):
            found[name] = text.replace("\r\n", "\n") if field and field.is_text else value_of(text)
    return found


def value_of(text: str) -> Any:
    """Return the value that the operator entered in a field: parsed when it is JSON, otherwise as a text."""
    try:
        return parsed(text.encode(), "the field")
    except MalformedError:
        return text


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reply in which each value stands at its path: `call.id` is the member `id` of the member `call`.

    Raise InvalidError when a path goes through another value.
    """
    reply: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = parts(name)
        inner = reply
        for each in above:
            inner = inner.setdefault(each, {})
            if not isinstance(inner, dict):
                raise InvalidError((f"/reply/{name}", f"{each} has a value of its own."))
        inner[last] = value
    return reply


def as_text(field: Field, value: Any) -> str:
    """Return the text that a person would enter for a value; "" for a value that is missing."""
    if value is None:
        return ""
    return value if isinstance(value, str) and field.is_text else written(value, indent=field.kind in _LARGE).decode()


def _input(name: str, field: Field, value: Any, *, kept: bool) -> Input:
    secret = holds_secret(field)
    large = field.kind in _LARGE
    kept = kept and secret
    hints = [*_hints(field), *(["empty: the same as before"] if kept else [])]
    return Input(
        name=name,
        hint=", ".join(hints),
        kind="secret" if secret and not large else _kind(field),
        value="" if secret else as_text(field, field.default if value is None else value),
        choices=field.choices or (("true", "false") if field.kind is FieldKind.BOOLEAN else ()),
        example="" if field.choices or secret else as_text(field, example_of(field)),
        required=field.required and not kept and not _can_be_empty(field),
    )


def _can_be_empty(field: Field) -> bool:
    return field.kind is FieldKind.TEXT and not field.low


def _kind(field: Field) -> str:
    if field.choices or field.kind is FieldKind.BOOLEAN:
        return "select"
    if field.kind in _LARGE:
        return "json"
    if field.kind is FieldKind.DATE:
        return "date"
    return "lines" if field.kind is FieldKind.TEXT and field.high > _ONE_LINE else "text"


def _hints(field: Field) -> Iterator[str]:
    """Return what a person may enter, in words."""
    match field.kind:
        case FieldKind.CHOICE | FieldKind.BOOLEAN:
            yield "choose one"
        case FieldKind.LIST:
            yield f"JSON list, {field.low} to {field.high} {_ITEMS}"
        case FieldKind.OBJECT | FieldKind.ANYTHING:
            yield "JSON object" if field.kind is FieldKind.OBJECT else "JSON, or a text"
        case FieldKind.TEXT:
            yield f"text, {field.low} to {field.high} {_CHARACTERS}" if field.low else f"text, at most {field.high}"
        case FieldKind.INTEGER | FieldKind.AMOUNT | FieldKind.DECIMAL:
            yield f"{field.kind}, {field.low} to {field.high}"
        case FieldKind.DATETIME:
            yield "date and time with a zone"
        case _:
            yield str(field.kind)
    if not field.required:
        yield "optional"
