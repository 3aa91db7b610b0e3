"""What a value of a call is: a second reading of references and of computed values.

The search compares it with what the engine sends (`machines.references`, `machines.templates`, `machines.call`), so a
mistake there does not hide itself.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Context, Decimal
from typing import Any, NamedTuple
from urllib.parse import unquote

from machines.call import Call
from machines.fields import Field
from machines.keeps import Kept, kept_of
from machines.replies import Reply
from machines.step import Step
from machines.templates import Function, Value
from machines.verify.distinct import put
from machines.verify.fitting import UnfitError, fitted

#: Characters that a path and a query have as they are.
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
_EXACTLY = Context(prec=5_000)
#: The value of a maybe() that is missing.
_LEFT_OUT = object()
_MISSING = object()


class UnknownError(ValueError):
    """The table does not say a value that can be sent."""


class Request(NamedTuple):
    """A request as its participant gets it."""

    method: str
    participant: str
    path: str
    headers: Mapping[str, str]
    body: Any


class Sources(NamedTuple):
    """Where values come from."""

    data: Mapping[str, Any]
    #: Step → its reply.
    results: Mapping[str, Any]
    #: The values of `saga.…`.
    saga: Mapping[str, str] = {}
    #: The current item within each_item().
    item: Any = _MISSING


def request_of(call: Call, sources: Sources, headers: Mapping[str, str]) -> Request:
    """Return what a call sends. headers: those that each call has. Raise UnknownError."""
    own = {name: _header(value_of(value, sources)) for name, value in call.headers.items()}
    sent = {**headers, **{name: text for name, text in own.items() if text is not None}}
    body = None if call.method == "GET" or call.body is None else value_of(call.body, sources)
    return Request(call.method, call.participant, _path(call, sources), sent, None if body is _LEFT_OUT else body)


def value_of(value: Value, sources: Sources) -> Any:
    """Return what a value of a table is for one saga. Raise UnknownError."""
    if isinstance(value, str):
        return _at(value, sources)
    if isinstance(value, Mapping):
        found = {name: value_of(each, sources) for name, each in value.items()}
        return {name: each for name, each in found.items() if each is not _LEFT_OUT}
    if isinstance(value, (list, tuple)):
        return [each for each in (value_of(one, sources) for one in value) if each is not _LEFT_OUT]
    return _of_function(value, sources)


def stored_of(step: Step, call: Call, reply: Reply) -> Any:
    """Return what a table stores of a reply to the action or to the probe of a step. Raise UnknownError."""
    keeps = call.keeps or step.keeps
    return kept_of_reply(keeps, reply.body, reply.headers or {}) if keeps else reply.body


def answer_of(step: Step, reply: Reply, accepted: Any) -> Any:
    """Return what a table stores of the answer to a poll. Raise UnknownError.

    accepted: what is stored of the reply that accepted the call; it has what the answer lacks.
    """
    assert step.poll is not None
    keeps = step.poll.keeps or step.keeps
    if not keeps:
        return _over(accepted, reply.body)
    found = dict(accepted or {})
    for name, declared in keeps.items():
        kept = kept_of(name, declared)
        if _in_reply(kept, reply.body, reply.headers or {}) is not _MISSING:
            found = _over(found, kept_of_reply({name: declared}, reply.body, reply.headers or {}))
        elif _in_body(found, name) in (None, _MISSING):
            found = _over(found, kept_of_reply({name: declared}, {}, {}))
    return found


def _over(below: Any, above: Any) -> Any:
    """Return an object with the members of both, those of `above` first; `above` where one of them is no object."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    shared = {name: _over(below[name], above[name]) for name in below.keys() & above.keys()}
    return {**below, **above, **shared}


def kept_of_reply(keeps: Mapping[str, Kept | Field], body: Any, headers: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return what a table keeps of a reply. Raise UnknownError when the reply lacks a part of it."""
    found: dict[str, Any] = {}
    for name, declared in keeps.items():
        kept = kept_of(name, declared)
        value = _in_reply(kept, body, headers)
        if value is not _MISSING:
            try:
                found = put(found, name, fitted(kept.field, value))
            except UnfitError as error:
                raise UnknownError(f"the reply has a wrong {kept}: {error}") from None
        elif kept.field.default is not None:
            found = put(found, name, kept.field.default)
        elif not kept.field.optional:
            raise UnknownError(f"the reply lacks {kept}")
    return found


def _in_reply(kept: Kept, body: Any, headers: Mapping[bytes, bytes]) -> Any:
    value: Any = _MISSING
    if kept.header:
        text = headers.get(kept.source.lower().encode(), b"").decode("latin-1").strip()
        if kept.last_segment:
            text = unquote(text.partition("?")[0].partition("#")[0].rstrip("/").split("/")[-1])
        value = text or _MISSING
    else:
        value = _in_body(body, kept.source)
    if kept.otherwise and value in (None, _MISSING):
        value = _in_body(body, kept.otherwise)
    return value


def _in_body(body: Any, path: str) -> Any:
    try:
        return _below(path, body, path.split("."))
    except UnknownError:
        return _MISSING


def same(one: Any, other: Any) -> bool:
    """Return True for two values that are the same JSON: 12 and 12.0 are, and 1 and True are not."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool) or not _is_number(one) or not _is_number(other):
        return type(one) is type(other) and bool(one == other)
    return Decimal(str(one)) == Decimal(str(other))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal))


def _at(reference: str, sources: Sources) -> Any:
    first, *below = reference.split(".")
    has_item = first == "item" and sources.item is not _MISSING
    if has_item:
        found = sources.item
    elif not below:
        found = sources.data.get(first, _MISSING)
    elif first == "saga":
        found = sources.saga
    else:
        found = sources.results.get(first, sources.data.get(first, _MISSING))
    return _below(reference, found, below)


def _below(reference: str, value: Any, path: list[str]) -> Any:
    for number, name in enumerate(path):
        if isinstance(value, list) and name == "*":
            return [_below(reference, each, path[number + 1 :]) for each in value]
        if isinstance(value, list):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else _MISSING
        else:
            value = value.get(name, _MISSING) if isinstance(value, Mapping) else _MISSING
    if value is _MISSING:
        raise UnknownError(f"{reference} is not known")
    return value


def _or_none(reference: str, sources: Sources) -> Any:
    try:
        return _at(reference, sources)
    except UnknownError:
        return None


def _of_function(function: Function, sources: Sources) -> Any:
    name, arguments = function.name, function.arguments
    if name == "const":
        return arguments[0]
    if name in ("maybe", "fallback"):
        found = _or_none(arguments[0], sources)
        if found is not None:
            return found
        return _LEFT_OUT if name == "maybe" else value_of(arguments[1], sources)
    if name == "each_item":
        items = _at(arguments[0], sources)
        if not isinstance(items, list):
            raise UnknownError(f"{arguments[0]} is no list")
        found = [value_of(arguments[1], sources._replace(item=item)) for item in items]
        return [each for each in found if each is not _LEFT_OUT]
    if name == "total":
        return _total(arguments[0], sources)
    known = [value_of(each, sources) for each in arguments]
    return _applied(function, known)


def _applied(function: Function, values: list[Any]) -> Any:
    given = [each for each in values if each is not _LEFT_OUT]
    if len(given) < len(values) and (function.name != "join" or len(given) == 1):
        return _LEFT_OUT
    if function.own is not None:
        try:
            return function.own(*given)
        except Exception as error:  # noqa: BLE001  the author's function may raise any error
            raise UnknownError(f"{type(error).__name__}: {error}") from None
    if function.name == "join":
        return str(given[0]).join(_text(each) for each in given[1:])
    (value,) = given
    return _APPLIED[function.name](value)


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not (_is_number(value) or isinstance(value, str)):
        raise UnknownError(f"{value!r} is no number")
    try:
        return Decimal(str(value))
    except ArithmeticError:
        raise UnknownError(f"{value!r} is no number") from None


def _hundredths(value: Any) -> int:
    exact = _EXACTLY.multiply(_number(value), Decimal(100))
    if exact != int(exact):
        raise UnknownError(f"{value!r} has more than two decimals")
    return int(exact)


def _total(reference: str, sources: Sources) -> Any:
    where, _, name = reference.rpartition(".")
    items = _at(where, sources)
    if not isinstance(items, list) or not all(isinstance(each, Mapping) and name in each for each in items):
        raise UnknownError(f"{where} is no list with {name}")
    values = [each[name] for each in items]
    exact = Decimal(0)
    for value in values:
        exact = _EXACTLY.add(exact, _number(value))
    return format(exact, "f") if values and all(isinstance(each, str) for each in values) else exact


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (str, int, float)):
        return str(value)
    raise UnknownError(f"{value!r} is no text")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise UnknownError(f"{value!r} is no text")
    return value


_APPLIED: Mapping[str, Callable[[Any], Any]] = {
    "cents": _hundredths, "number_of": _number, "text_of": _text, "upper": lambda value: _string(value).upper(),
    "lower": lambda value: _string(value).lower(),
}  # fmt: skip


def _header(value: Any) -> str | None:
    """Return the text of a header; None: the header is left out."""
    if value is _LEFT_OUT:
        return None
    text = _text(value)
    if any(not " " <= each <= "~" for each in text) or text.strip() != text:
        raise UnknownError(f"{text!r} is no header")
    return text


def _path(call: Call, sources: Sources) -> str:
    if call.path.startswith("{") and call.path.count("{") == 1 and call.path.endswith("}"):
        path = _text(_at(call.path[1:-1], sources))
    else:
        first, *others = call.path.split("{")
        path = first + "".join(
            _segment(_at(name, sources)) + rest for name, _, rest in (each.partition("}") for each in others)
        )
    pairs = [f"{_encoded(name)}={_encoded(text)}" for name, text in _parameters(call, sources)]
    return path + ("&" if "?" in path else "?") + "&".join(pairs) if pairs else path


def _segment(value: Any) -> str:
    text = _text(value)
    if text in ("", ".", ".."):
        raise UnknownError(f"{text!r} is no part of a path")
    return _encoded(text)


def _parameters(call: Call, sources: Sources) -> Iterator[tuple[str, str]]:
    for name, value in call.query.items():
        found = value_of(value, sources)
        for each in found if isinstance(found, list) else [] if found is _LEFT_OUT else [found]:
            yield name, _text(each)


def _encoded(text: str) -> str:
    return "".join(chr(each) if each in _PLAIN else f"%{each:02X}" for each in text.encode())
