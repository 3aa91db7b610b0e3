"""The values of a call: references, constants, and a small closed set of pure functions.

A text is a reference, see `machines.references`. Everything else is a function of this module, a dict or a list, at any
depth. A template is pure data: it is checked at import, compared, and shown in diagrams.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from machines.exact import add, as_json, cents_of, exact_number, plain_number
from machines.references import ITEM, MASKED, FillError, look_up, members, scalar_text
from machines.words import word

#: A value of a call: a reference, a Function, or a dict or list of values.
Value = Any
#: Result of a maybe() whose value is missing or null; its member, parameter or header is left out.
LEFT_OUT = object()


@dataclass(frozen=True)
class Function:
    """A value of a call that is computed when the call is sent."""

    #: Name in the table, such as "cents".
    name: str
    #: Arguments as the table writes them. For const(): the constant. For each_item(): the list and the value of an
    #: item.
    arguments: tuple[Any, ...]
    #: For computed(): the function that the author of the table wrote. None for all others.
    own: Callable[..., Any] | None = None

    def __str__(self) -> str:
        return f"{self.name}({', '.join(described(argument) for argument in self.arguments)})"


@word
def const(value: Any, /) -> Function:
    """Return a constant: any JSON value."""
    return Function("const", (value,))


@word
def maybe(reference: str, /) -> Function:
    """Return an optional value. Its member, parameter or header is left out when the value is missing or null.

    A function with an optional argument is left out, too. Only join() is kept, without that argument.
    """
    return Function("maybe", (reference,))


@word
def fallback(reference: str, otherwise: Value, /) -> Function:
    """Return the value of the reference, or `otherwise` when that value is missing or null."""
    return Function("fallback", (reference, otherwise))


@word
def cents(value: Value, /) -> Function:
    """Return an amount in hundredths, as an integer: 1230 for 12.30. A call with more than two decimals is not sent."""
    return Function("cents", (value,))


@word
def number_of(value: Value, /) -> Function:
    """Return a decimal as a JSON number: 12.3 for "12.30"."""
    return Function("number_of", (value,))


@word
def text_of(value: Value, /) -> Function:
    """Return a number or a boolean as text: "7" for 7."""
    return Function("text_of", (value,))


@word
def total(reference: str, /) -> Function:
    """Return the exact sum of one field over all items of a list, such as "lines.amount"."""
    return Function("total", (reference,))


@word
def join(separator: str, /, *values: Value) -> Function:
    """Return texts and numbers joined to one text."""
    return Function("join", (const(separator), *values))


@word
def upper(value: Value, /) -> Function:
    return Function("upper", (value,))


@word
def lower(value: Value, /) -> Function:
    return Function("lower", (value,))


@word
def each_item(reference: str, value: Value, /) -> Function:
    """Return a list that has `value` once for each item of the list `reference`.

    In `value`, a reference such as `item.sku` names a field of the current item.
    """
    return Function("each_item", (reference, value))


@word
def computed(function: Callable[..., Any], /, *values: Value) -> Function:
    """Return what a function of the table's author returns for these values.

    The function is called at each attempt, so it must return the same JSON value for the same arguments. When it raises
    an error, the call is not sent, and the error's text is the reason.
    """
    name = getattr(function, "__qualname__", "<locals>")  # check() refuses a value that is not a function with a name
    return Function(f"{getattr(function, '__module__', '')}.{name}", values, function)


def fill(value: Value, data: Mapping[str, Any], results: Mapping[str, Any], roots: Mapping[str, Any]) -> Any:
    """Return the value that is sent. Return LEFT_OUT for a maybe() without a value.

    results: the replies, by step. roots: the values of `saga` and `item`. Raise FillError when a value is not known.
    """
    if isinstance(value, str):
        return look_up(value, data, results, roots)
    if isinstance(value, Mapping):
        members = ((name, fill(each, data, results, roots)) for name, each in value.items())
        return {name: filled for name, filled in members if filled is not LEFT_OUT}
    if isinstance(value, (list, tuple)):
        items = (fill(each, data, results, roots) for each in value)
        return [filled for filled in items if filled is not LEFT_OUT]
    if special := _SPECIAL.get(value.name):
        return special(value.arguments, data, results, roots)
    return _computed(value, [fill(argument, data, results, roots) for argument in value.arguments])


def _constant(arguments: tuple[Any, ...], *_: Any) -> Any:
    return arguments[0]


def _maybe(arguments: tuple[Any, ...], *sources: Mapping[str, Any]) -> Any:
    found = _found(arguments[0], *sources)
    return LEFT_OUT if found is None else found


def _fallback(arguments: tuple[Any, ...], *sources: Mapping[str, Any]) -> Any:
    found = _found(arguments[0], *sources)
    return fill(arguments[1], *sources) if found is None else found


def _each_item(
    arguments: tuple[Any, ...], data: Mapping[str, Any], results: Mapping[str, Any], roots: Mapping[str, Any]
) -> Any:
    items = look_up(arguments[0], data, results, roots)
    if items is MASKED:
        return MASKED
    if not isinstance(items, list):
        raise FillError(f"{arguments[0]} is no list")
    filled = (fill(arguments[1], data, results, {**roots, ITEM: item}) for item in items)
    return [each for each in filled if each is not LEFT_OUT]


def _found(reference: str, data: Mapping[str, Any], results: Mapping[str, Any], roots: Mapping[str, Any]) -> Any:
    try:
        return look_up(reference, data, results, roots)
    except FillError:
        return None


def _computed(function: Function, arguments: list[Any]) -> Any:
    if any(argument is LEFT_OUT for argument in arguments):
        arguments = [argument for argument in arguments if argument is not LEFT_OUT]
        if function.name != "join" or len(arguments) == 1:  # 1: only the separator is left
            return LEFT_OUT
    if any(argument is MASKED for argument in arguments):
        return MASKED
    try:
        if function.own is not None:
            return as_json(function.own(*arguments))
        return _FUNCTIONS[function.name](*arguments)
    except FillError as error:
        raise FillError(f"{function}: {error}") from None
    except Exception as error:  # the author's function may raise any error
        raise FillError(f"{function} failed: {type(error).__name__}: {error}") from error


def _total(arguments: tuple[Any, ...], *sources: Mapping[str, Any]) -> Any:
    """Return the sum as a number. If all items are texts, return a text with the most decimal places of an item."""
    reference = arguments[0]
    where, _, name = reference.rpartition(".")
    items = look_up(where, *sources)
    if items is MASKED:
        return MASKED
    if not isinstance(items, list) or not all(isinstance(item, Mapping) and name in item for item in items):
        raise FillError(f"{where} is no list of objects with {name}")
    values = [item[name] for item in items]
    if any(value is MASKED for value in values):
        return MASKED
    exact = Decimal(0)
    try:
        for value in values:
            exact = add(exact, exact_number(value))
    except FillError as error:
        raise FillError(f"total({reference}): {error}") from None
    if values and all(isinstance(value, str) for value in values):
        return format(exact, "f")
    return plain_number(exact)


def _joined(separator: str, *values: Any) -> str:
    return separator.join(scalar_text("a value", value, "a text") for value in values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FillError("the value is no text")
    return value


_FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({
    "cents": cents_of,
    "number_of": lambda value: plain_number(exact_number(value)),
    "text_of": lambda value: scalar_text("the value", value, "a text"),
    "join": _joined,
    "upper": lambda value: _text(value).upper(),
    "lower": lambda value: _text(value).lower(),
})  # fmt: skip

#: Functions that get their arguments as the table writes them; `_FUNCTIONS` get the values of their arguments.
_SPECIAL: Mapping[str, Callable[..., Any]] = MappingProxyType({
    "const": _constant, "maybe": _maybe, "fallback": _fallback, "each_item": _each_item, "total": _total,
})  # fmt: skip


def references(value: Value, *, optional: bool = True) -> Iterator[str]:
    """Yield every reference of a value, except those to an item of each_item().

    optional: yield the references of maybe() and fallback(), too; their values may be missing.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Function):
        yield from _references_of(value, optional=optional)
    for each in members(value):
        yield from references(each, optional=optional)


def _references_of(function: Function, *, optional: bool) -> Iterator[str]:
    name, arguments = function.name, function.arguments
    if name == "const":
        return
    if name == "total":
        arguments = (arguments[0].rpartition(".")[0],)
    if name in ("maybe", "fallback") and not optional:
        arguments = arguments[1:]
    for argument in arguments:
        for reference in references(argument, optional=optional):
            if name != "each_item" or not reference.startswith(f"{ITEM}."):
                yield reference


def constants(value: Value) -> Iterator[str]:
    """Yield each constant text in a value."""
    arguments = value.arguments if isinstance(value, Function) and isinstance(value.arguments, tuple) else ()
    for argument in arguments:
        if value.name == "const" and isinstance(argument, str):
            yield argument
        yield from constants(argument)


def described(value: Value) -> str:
    """Return a value as the table writes it, for diagrams and messages."""
    if isinstance(value, Function):
        return repr(value.arguments[0]) if value.name == "const" else str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {described(each)}" for name, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(described(each) for each in value) + "]"
    return str(value)
