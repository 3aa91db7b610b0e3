"""Other data for a call, and bodies that no participant expects."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from app.conform.subject import Subject
from machines.fields import FieldKind
from machines.references import split

HUGE = 2 << 20  # bytes; more than the limit of most servers, and of this service's own replies

#: What it is → the bytes that are sent as application/json.
ODD: Mapping[str, bytes] = {
    "an empty body": b"",
    "a body that ends early": b'{"a": ',
    "text that is no JSON": b"saga conform",
    "a list": b"[1, 2]",
    "null": b"null",
    "a body that is not UTF-8": b'{"a": "\xff\xfe"}',
    "a body that is nested deeply": b"[" * 20_000,
}


def odd(content: bytes) -> Any:
    """Return a body that the client sends as these bytes."""
    return orjson.Fragment(content)


def other_data(subject: Subject) -> Iterator[Mapping[str, Any]]:
    """Yield data that differ from the subject's in one value that the call uses. The participant may refuse them."""
    if subject.other_data is not None:
        yield subject.other_data
        return
    assert subject.step.call is not None
    roots = [root or name for root, name in map(split, subject.step.call.references)]
    for root in dict.fromkeys(root for root in roots if root in subject.data):
        field = subject.definition.data.get(root)
        choices = field.choices if field and field.kind is FieldKind.CHOICE else ()
        for value in _others(subject.data[root], choices):
            yield {**subject.data, root: value}


def _others(value: Any, choices: tuple[str, ...]) -> Iterator[Any]:
    if choices:
        yield from (choice for choice in choices if choice != value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
        yield value - 1
    elif isinstance(value, str):
        yield f"{value}x"
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from ({**value, name: other} for other in _others(each, ()))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from ([*value[:number], other, *value[number + 1 :]] for other in _others(each, ()))
