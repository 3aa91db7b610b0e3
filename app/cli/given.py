"""What a person gives a new saga: JSON, a file of it, or field=value, checked as the API checks a request."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from app.errors import InvalidError, MalformedError
from app.views.saga_data import data_schema, example
from app.views.validation import load, parsed, parsed_object
from machines.fields import FieldKind
from machines.registry import Registry, UnknownSagaError
from machines.saga import Saga


def definition_named(registry: Registry, name: str) -> Saga:
    try:
        return registry.latest(name)
    except UnknownSagaError:
        known = ", ".join(registry.names)
        raise MalformedError(f"TYPE: there is no saga {name!r}; take one of {known}") from None


def data_given(definition: Saga, text: str | None, pairs: Sequence[str]) -> Mapping[str, Any]:
    """Read and check; what a pair says goes before what the JSON says."""
    data = _object(text) | _fields(definition, pairs)
    try:
        return load(data_schema(definition), data)
    except InvalidError as error:
        wrong = "; ".join(f"{said['pointer'][1:]}: {said['detail'].rstrip('.')}" for said in error.members["errors"])
        raise MalformedError(f"{wrong}. Try: {_try(definition)}") from None


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    if text == "-":
        return parsed_object(sys.stdin.buffer.read(), "standard input")
    if not text.startswith("@"):
        return parsed_object(text.encode(errors="surrogateescape"), "--data")
    try:
        return parsed_object(Path(text[1:]).read_bytes(), text[1:])
    except OSError as error:
        raise MalformedError(f"--data: {text[1:]} cannot be read: {error.strerror}") from None


def _fields(definition: Saga, pairs: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise MalformedError(f"{pair!r} is no field=value; try: {_try(definition)}")
        if name in given:
            raise MalformedError(f"{name}: it is given twice; give it once")
        given[name] = _value(definition, name, value)
    return given


def _value(definition: Saga, name: str, text: str) -> Any:
    """Read a value as its field's kind wants it. One that cannot be read stays a text, for the schema to refuse."""
    field = definition.data.get(name)
    if field is None or field.kind in (FieldKind.TEXT, FieldKind.UUID):
        return text
    try:
        return parsed(text.encode(errors="surrogateescape"), name)
    except MalformedError:
        return text


def _try(definition: Saga) -> str:
    data = example(definition.data)
    if any(isinstance(value, list) for value in data.values()):
        return f"saga start {definition.name} --data {shlex.quote(orjson.dumps(data).decode())}"
    pairs = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in data.items())
    return f"saga start {definition.name} {pairs}"
