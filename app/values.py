"""JSON values that the service accepts, stores and sends. No other module sets their bounds.

`parsed` reads every incoming value: a participant's reply, a request, an event, a reply that a person gives. Both
databases can store its result, and return an equal value. `written` returns the same bytes for equal values. So a call
is sent with the same bytes, whether its values come from memory or from a database. The databases alone do not ensure
this: PostgreSQL's JSONB reorders members, writes numbers in full and has no -0.0, while SQLite keeps the text (ADR 24).

A number keeps its exact value. It is an int if 64 bits can hold it, a float if the shortest text of that float is the
number, and a Decimal otherwise. A whole number from 1e16 on is never a float, because JSONB writes it as an integer.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from json import JSONDecodeError, JSONDecoder
from typing import Any

import orjson

from machines.lines import one_line
from machines.references import UNSTORABLE

DEEPEST = (
    100  # largest number of levels of objects and lists; orjson writes 254, and API responses add a few around a reply
)
LONGEST_NUMBER = 400  # largest number of digits of a number without an exponent; every float has fewer
LONGEST_LINE = (
    1000  # largest number of characters of a stored reason: a text of LONGEST_WORDS, and the service's words around it
)
LARGEST_CONTENT = 256 * 1024  # largest number of bytes of a request, an event, or the data of one start in a batch
LARGEST_BATCH = 4 * 1024 * 1024  # largest number of bytes of a batch of starts

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1  # smallest and largest integer that orjson reads and writes
_INTEGRAL = 1e16  # a float of this size or more is written with an exponent, which JSONB turns into an integer
_TINY = 1e-290  # a float close to 0 has fewer exact digits than others; this is a safe limit
#: Translation for `_plain`: every digit and point becomes "0", and every exponent letter "e".
_SHAPES = bytes.maketrans(b"0123456789.E", b"00000000000e")
_LONG_RUN = b"0" * 16  # a float cannot hold every number of 16 digits exactly; 15 digits are always exact

_SORTED = orjson.OPT_SORT_KEYS
_INDENTED = _SORTED | orjson.OPT_INDENT_2

#: Path of a value: the path of its container, and its name or index in the container. It is cheaper than a JSON
#: pointer, which is built only for an error.
_Path = tuple["_Path", Any] | None


class UnreadableError(ValueError):
    """Content that is not accepted. The text is a short phrase such as "not UTF-8", to complete an error message.

    remedy: what the sender can do. pointer: JSON pointer to the problem in the content; "": not known.
    """

    def __init__(self, phrase: str, remedy: str, pointer: str = "") -> None:
        super().__init__(phrase)
        self.remedy, self.pointer = remedy, pointer


def parsed(content: bytes) -> Any:
    """Return the value of JSON content. Raise UnreadableError for illegal content, and for values out of bounds."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return _carefully(content, _EXACT)  # raises an error with a reason, or reads a number that orjson cannot read
    if content.count(b"[") + content.count(b"{") > DEEPEST or b"\\u0000" in content:
        check(value)
    return value if _plain(content, value) else _carefully(content, _EXACT)


def parsed_strictly(content: bytes) -> Any:
    """Return the value of JSON content as `parsed` does, but refuse an object with a repeated name."""
    return _carefully(content, _STRICT)


def decoded_strictly(content: bytes) -> Any:
    """Return the value of JSON content. The caller must call `check`. Errors: see `parsed_strictly`."""
    return _decoded(content, _STRICT)


def read_back(text: str | bytes) -> Any:
    """Return the value of stored JSON, without a check of bounds.

    A value that an earlier release stored may be out of bounds. An error for one row would end the whole query.
    """
    content = text.encode() if isinstance(text, str) else text
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:  # for example a number that is larger than any float, which `parsed` accepts
        return _exactly(content)
    return value if _plain(content, value) else _exactly(content)


def written(value: Any, *, indent: bool = False) -> bytes:
    """Return a value as JSON in its only form: members sorted by name, exact numbers, dates and UUIDs as text."""
    return orjson.dumps(value, _as_number, _INDENTED if indent else _SORTED)


def check(value: Any) -> None:
    """Raise UnreadableError for a value that is nested too deeply or has text that cannot be stored."""
    for path, depth, item in _walk(value):
        if depth > DEEPEST:
            raise UnreadableError(f"nested deeper than {DEEPEST}", "nest it less deeply", _pointer(path))
        if isinstance(item, str) and (found := UNSTORABLE.search(item)):
            what = "a NUL character" if found[0] == "\0" else "a lone surrogate"
            raise UnreadableError(f"{what} in a text", "leave it out; it cannot be stored", _pointer(path))


def _plain(content: bytes, value: Any) -> bool:
    """Return True when orjson has certainly read each number exactly.

    This is certain when no number has 16 digits, and no float is very large or close to 0.
    """
    shape = content.translate(_SHAPES)
    if _LONG_RUN in shape:
        return False
    return not (b"." in content or b"0e" in shape) or _floats_are_plain(value)


def _exactly(content: bytes) -> Any:
    try:
        return _EXACT.decode(content.decode())
    except UnreadableError:
        return _BOUNDLESS.decode(content.decode())


def _floats_are_plain(value: Any) -> bool:
    kind = value.__class__
    if kind is float:
        return bool(_TINY < abs(value) < _INTEGRAL)
    if kind is dict:
        return all(map(_floats_are_plain, value.values()))
    return kind is not list or all(map(_floats_are_plain, value))


def _carefully(content: bytes, decoder: JSONDecoder) -> Any:
    value = _decoded(content, decoder)
    if content.count(b"[") + content.count(b"{") > DEEPEST or b"\\u" in content:
        check(value)
    return value


def _decoded(content: bytes, decoder: JSONDecoder) -> Any:
    try:
        return decoder.decode(content.decode())
    except RecursionError:
        raise UnreadableError(f"nested deeper than {DEEPEST}", "nest it less deeply") from None
    except UnicodeDecodeError:
        raise UnreadableError("not UTF-8", "send it in UTF-8") from None
    except JSONDecodeError as error:
        raise UnreadableError(f"no JSON ({error})", "send JSON") from None


def _walk(value: Any) -> Iterator[tuple[_Path, int, Any]]:
    """Yield each name and each value, with its path and its depth: the number of objects and lists around it."""
    ahead: list[tuple[_Path, int, Any]] = [(None, 0, value)]
    while ahead:
        path, depth, item = ahead.pop()
        if not isinstance(item, Mapping | list):
            yield path, depth, item
            continue
        yield path, depth + 1, item
        for name, below in item.items() if isinstance(item, Mapping) else enumerate(item):
            yield (path, name), depth + 1, name
            ahead.append(((path, name), depth + 1, below))


def _pointer(path: _Path) -> str:
    """Return the JSON pointer (RFC 6901) of a value."""
    names: list[str] = []
    while path is not None:
        path, name = path
        names.append(str(name).replace("~", "~0").replace("/", "~1"))
    return one_line("".join(f"/{name}" for name in reversed(names)))


def _integer(digits: str) -> int | Decimal:
    if len(digits) - digits.startswith("-") > LONGEST_NUMBER:
        raise _too_long()
    number = int(digits)
    return number if _SMALLEST <= number <= _LARGEST else Decimal(digits)


def _number(text: str) -> float | int | Decimal:
    """Return the exact value of a number with a point or an exponent."""
    try:
        exact = Decimal(text) if len(text) <= LONGEST_NUMBER else None
    except InvalidOperation:  # its exponent is too large even for a Decimal
        exact = None
    if exact is None or (exact and not -LONGEST_NUMBER < exact.adjusted() < LONGEST_NUMBER):
        raise _too_long()
    near = float(text)
    if not exact:
        return 0.0  # -0.0 becomes 0.0, because JSONB has no -0.0
    if abs(near) < _INTEGRAL and Decimal(repr(near)) == exact:
        return near
    digits = format(exact, "f")
    if len(digits) > LONGEST_NUMBER + 2:  # + 2: the sign and the point
        raise _too_long()
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return Decimal(digits) if "." in digits else _integer(digits)


def _too_long() -> UnreadableError:
    return UnreadableError(f"a number of more than {LONGEST_NUMBER} digits", "send it as text, or round it")


def _constant(name: str) -> Any:
    raise UnreadableError(f"{name}, which is no JSON number", "send null or a text instead")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen = set[str]()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise UnreadableError(f"the name {one_line(repr(twice))} stands twice", "name each member once")
    return members


def _as_number(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} is no JSON")


#: Decoder for stored values that are out of bounds.
_BOUNDLESS = JSONDecoder(parse_int=Decimal, parse_float=Decimal)
_EXACT = JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_constant)
_STRICT = JSONDecoder(
    parse_int=_integer, parse_float=_number, parse_constant=_constant, object_pairs_hook=_without_doubles
)
