"""Hides the secret values of a saga from people, log lines, events and files.

A field that is secret() or personal() is shown as "***", in the data and in the kept replies. Both have the flag
`secret`, and nothing here asks for another one. A secret value is also replaced inside other texts: in the
participant's words, in the reason of a failure, and in a reply that repeats the request. A table without secrets has no
cost: its `Saga.secrets` is None.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

from machines.fields import Field, FieldKind
from machines.keeps import kept_of
from machines.references import MASKED, parts, within
from machines.sealed import is_sealed
from machines.table import Table

#: Returns what stands in the place of a secret value.
Instead = Callable[[Any], Any]
#: A shorter secret is replaced only where it stands as a word: "123" in "cvc 123", not in "order 51234".
_SHORTEST_PART = 4
#: End of a text that was cut off.
_ELLIPSIS = "…"


def holds_secret(field: Field) -> bool:
    """Return True when the field, or a field in it, is secret."""
    return field.secret or any(map(holds_secret, _inner(field)))


def personal_fields(table: Table) -> dict[str, Field]:
    """Return the fields of the data and of kept replies that are personal, or have a personal field in them."""
    kept = {
        f"{step.name}.{name}": kept_of(name, declared).field
        for step in table.steps
        for call in step.calls
        for name, declared in call.keeps.items()
    }
    return {name: field for name, field in {**table.data, **kept}.items() if _holds_personal(field)}


def _holds_personal(field: Field) -> bool:
    return field.personal or any(map(_holds_personal, _inner(field)))


def _inner(field: Field) -> Iterator[Field]:
    yield from (field.items or {}).values()
    if field.item is not None:
        yield field.item


class SecretFields:
    """The secret fields of a table, or of all versions of a table."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self._tables = [found for table in tables if any(found := (_of_data(table), _of_replies(table)))]

    def __bool__(self) -> bool:
        return bool(self._tables)

    def shown_data(self, data: Any) -> Any:
        """Return the data of a saga that has no replies yet, as people may see them."""
        return self.values(data, {}).hidden_in(self.masked_data(data))

    def masked_data(self, data: Any, by: Instead = lambda _value: MASKED) -> Any:
        """Return the data of a saga with "***" in each secret field. Other fields may repeat such a value.

        by: returns what stands in the place of a secret value, if that is not "***".
        """
        for fields, _ in self._tables:
            data = _masked_members(fields, data, by)
        return data

    def masked_reply(self, step: str | None, reply: Any, by: Instead = lambda _value: MASKED) -> Any:
        """Return a stored reply of a step with "***" for each secret value that it keeps. by: see `masked_data`."""
        for _, kept in self._tables:
            for path, field in kept.get(step or "", {}).items():
                reply = _masked_below(path, field, reply, by)
        return reply

    def values(self, data: Any, replies: Mapping[str, Any]) -> "SecretValues":
        """Return the secret values of one saga. replies: step → its stored reply."""
        found: list[Any] = []
        for fields, kept in self._tables:
            found += _values_of(Field(kind=FieldKind.OBJECT, items=fields), data)
            for step, names in kept.items():
                for path, field in names.items():
                    found += _values_of(field, _below(replies.get(step), path))
        return SecretValues(found)


class SecretValues:
    """The secret values of one saga, and the search for them in texts and replies."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._texts = {_text(value) for value in values if value is not None and not isinstance(value, bool)} - {""}
        spellings = {spelling for text in self._texts for spelling in _spellings(text)} - {""}
        self._spellings = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_as_pattern, self._spellings))) if spellings else None

    def hidden_in(self, value: Any) -> Any:
        """Return a text, or any other JSON value, with "***" for each secret value in it."""
        if isinstance(value, Mapping):
            if is_sealed(value):
                return MASKED
            # A plain text, because JSON takes no other name of a member.
            return {str(self.hidden_in(name)): self.hidden_in(each) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.hidden_in(each) for each in value]
        if self._pattern is None or value is None or isinstance(value, bool) or value is MASKED:
            return value
        if isinstance(value, str):
            return MASKED if value in self._texts else self._without_rest(self._pattern.sub(MASKED, value))
        return MASKED if _text(value) in self._texts else value

    def replaced_in(self, value: Any, by: Instead) -> Any:
        """Return a JSON value with `by(part)` for each single part that holds a secret value, or names it."""
        if is_sealed(value):
            return value
        if isinstance(value, Mapping):
            if any(self.hidden_in(name) != name for name in value):
                return by(value)
            return {name: self.replaced_in(each, by) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.replaced_in(each, by) for each in value]
        return by(value) if self.hidden_in(value) != value else value

    def _without_rest(self, text: str) -> str:
        """Return the text. If it was cut off inside a secret, replace the beginning of this secret at its end."""
        whole = text.removesuffix(_ELLIPSIS)
        if whole == text:
            return text
        for spelling in self._spellings:
            for length in range(len(spelling) - 1, _SHORTEST_PART - 1, -1):
                if whole.endswith(spelling[:length]):
                    return f"{whole[:-length]}{MASKED}{_ELLIPSIS}"
        return text


def _of_data(table: Table) -> dict[str, Field]:
    return {name: field for name, field in table.data.items() if holds_secret(field)}


def _of_replies(table: Table) -> dict[str, dict[tuple[str, ...], Field]]:
    """Return the secret fields of replies: step → path → field. The reply of a group is one field, with no path."""
    found: dict[str, dict[tuple[str, ...], Field]] = {}
    for step in table.steps:
        if step.group is not None and holds_secret(step.group.result):
            found[step.name] = {(): step.group.result}
        for call in step.calls:
            for name, declared in call.keeps.items() if call is not step.undo else ():
                if holds_secret(field := kept_of(name, declared).field):
                    found.setdefault(step.name, {})[parts(name)] = field
    return found


def _masked(field: Field, value: Any, by: Instead) -> Any:
    if value is None:
        return None
    if field.secret:
        return by(value)
    if field.kind is FieldKind.LIST and isinstance(value, list):
        item = field.item or Field(kind=FieldKind.OBJECT, items=field.items)
        return [_masked(item, each, by) for each in value]
    return _masked_members(field.items or {}, value, by)


def _masked_members(fields: Mapping[str, Field], value: Any, by: Instead) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: _masked(fields[name], each, by) if name in fields else each for name, each in value.items()}


def _masked_below(path: Sequence[str], field: Field, value: Any, by: Instead) -> Any:
    if not path:
        return _masked(field, value, by)
    if not isinstance(value, Mapping) or path[0] not in value:
        return value
    return {**value, path[0]: _masked_below(path[1:], field, value[path[0]], by)}


def _below(reply: Any, path: tuple[str, ...]) -> Any:
    try:
        return within(reply, path)
    except (LookupError, TypeError):
        return None


def _values_of(field: Field, value: Any) -> Iterator[Any]:
    """Yield each single value that is secret."""
    if field.secret:
        yield from _leaves(value)
    elif isinstance(value, Mapping):
        for name, inner in (field.items or {}).items():
            yield from _values_of(inner, value.get(name))
    elif isinstance(value, list):
        item = field.item or Field(kind=FieldKind.OBJECT, items=field.items)
        for each in value:
            yield from _values_of(item, each)


def _leaves(value: Any) -> Iterator[Any]:
    if is_sealed(value):
        return
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _spellings(text: str) -> Iterator[str]:
    """Yield the forms in which a text can occur in another text: in capitals, in one line, in JSON, in HTML, …."""
    for each in (text, text.upper(), text.lower()):
        yield each
        yield " ".join(each.split())
        yield repr(each)[1:-1]
        yield json.dumps(each)[1:-1]
        yield json.dumps(each, ensure_ascii=False)[1:-1]
        yield quote(each, safe="")
        yield quote(each)
        yield quote_plus(each)
        yield escape(each)


def _as_pattern(text: str) -> str:
    return re.escape(text) if len(text) >= _SHORTEST_PART else rf"(?<!\w){re.escape(text)}(?!\w)"
