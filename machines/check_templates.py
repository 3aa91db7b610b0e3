"""The checks of the values in a call's body, query and headers. They do not need the rest of the table."""

import datetime as dt
import inspect
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from machines.check_types import column_of, misused, out_of, shown, unstorable
from machines.keeps import Kept
from machines.templates import Function
from machines.words import HOME, Misused

_DEEPEST = 20  # largest number of dicts and lists in a value, one inside the other; the checks recurse into them
_DEEPEST_CONSTANT = 100  # largest number of dicts and lists in a constant, one inside the other, as in a reply
_SMALLEST_CONSTANT, _LARGEST_CONSTANT = -(2**63), 2**64 - 1  # a larger integer is written number_of(const("…"))
_TEMPLATES = (
    str,
    Mapping,
    list,
    tuple,
    Function,
    Misused,
)  # every type that a value can have; Misused names its problem
#: Function → the number of its arguments. join() and computed() are absent, because they take any number.
_ARGUMENTS = {
    "const": 1, "maybe": 1, "fallback": 2, "cents": 1, "number_of": 1, "text_of": 1, "total": 1, "upper": 1, "lower": 1,
    "each_item": 2,
}  # fmt: skip


def template_problems(what: str, value: Any, depth: int = _DEEPEST) -> Iterator[str]:
    """Yield a problem for each illegal part of a value. Legal parts are references, functions, and dicts and lists.

    what: the words for the value in the problem. depth: how many levels of dicts and lists the value can have.
    """
    if depth == 0:
        yield f"{what} is nested deeper than {_DEEPEST}; make it flatter"
    elif isinstance(value, str):
        yield from unstorable(f"{what} is", value)
    elif isinstance(value, Mapping):
        yield from _member_problems(what, value, depth)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from template_problems(what, each, depth - 1)
    elif isinstance(value, Function):
        yield from _function_problems(what, value, depth)
    elif isinstance(value, Misused) and value.word != "at":
        yield from misused(what, value)
    else:
        yield f"{what} is {shown(value)}, no reference; write {_instead('name', value)}"


def _member_problems(what: str, value: Mapping[Any, Any], depth: int) -> Iterator[str]:
    for name, each in value.items():
        if not isinstance(name, str):
            yield f"{what} names {shown(name)}; write a text"
            continue
        yield from unstorable(f"{what} names", name)
        if each is None or not isinstance(each, _TEMPLATES):
            home = f"; {name}= itself belongs to {HOME[name]}" if depth == _DEEPEST and name in HOME else ""
            yield f"{what}'s {name!r} is {shown(each)}, no reference; write {_instead(name, each)}{home}"
        else:
            yield from template_problems(f"{what}'s {name!r}", each, depth - 1)


def _instead(name: str, value: Any) -> str:
    if isinstance(value, Kept) or (isinstance(value, Misused) and value.word == "at"):
        path = value.source if isinstance(value, Kept) else next(iter(value.values), "step.field")
        return f"the reference {shown(path)} alone, for at() is a word of keeps="
    if isinstance(value, (Decimal, dt.date, dt.time, UUID)):
        return f"const({str(value)!r}) for a constant"
    if callable(value) and not isinstance(value, type):
        return f"computed({getattr(value, '__name__', 'function')}, 'field') for what a function returns"
    flat = f"{name}='field' for one of data, or {name}='step.field' for one of an earlier reply"
    return f"const({shown(value)}) for a constant, {flat}" if _is_json(value) else flat


def _function_problems(what: str, function: Function, depth: int) -> Iterator[str]:
    name, arguments = column_of(function, "name"), column_of(function, "arguments")
    if not (isinstance(name, str) and isinstance(arguments, tuple)):
        yield f"{what} is a Function that was made by hand; use a function of machines.templates"
        return
    expected = _ARGUMENTS.get(name)
    if problems := list(_own_problems(function)):
        yield from (f"{what}: {problem}" for problem in problems)
    elif function.own is None and name != "join" and expected is None:
        yield f"{what} has the function {name!r}, which is none; use one of machines.templates"
    elif expected is not None and len(arguments) != expected:
        yield f"{what}: {name}() takes {expected} argument{'s' if expected > 1 else ''}; use the function {name}()"
    elif name == "const":
        if not _is_json(arguments[0]):
            yield f"{what}: const({shown(arguments[0])}) is no JSON; give a text, a number, a dict or a list"
    elif name in ("maybe", "fallback", "total", "each_item") and not isinstance(arguments[0], str):
        yield f"{what}: {name}() takes a reference, not {shown(arguments[0])}; write {name}('field'…)"
    elif name == "join" and not _is_separator(arguments):
        yield f"{what}: join() takes a separator and values; write join('-', 'field', 'other')"
    else:
        for argument in arguments:
            yield from template_problems(f"{what}: {name}()", argument, depth - 1)


def _own_problems(function: Function) -> Iterator[str]:
    """Yield why the function in computed() cannot be called with its values."""
    own, count = function.own, len(function.arguments)
    name = getattr(own, "__name__", "the function")
    if "<lambda>" in function.name or "<locals>" in function.name or not (own is None or callable(own)):
        yield "computed() takes a function with a name, defined in a module; give it one"
    elif inspect.iscoroutinefunction(own) or inspect.isgeneratorfunction(own) or inspect.isasyncgenfunction(own):
        yield f"computed() calls {name}() and sends what it returns; write it without async and yield"
    elif own is not None and (takes := _signature(own)) is not None:
        try:
            takes.bind(*range(count))
        except TypeError as error:
            values = "1 value" if count == 1 else f"{count} values"
            yield f"computed() gives {values} to {name}{takes}: {error}"


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return the signature of a function; None for a built-in function without a signature."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _is_separator(arguments: tuple[Any, ...]) -> bool:
    """Return True when the arguments of join() are a constant text and at least one value."""
    first = arguments[0] if arguments else None
    if not isinstance(first, Function) or first.name != "const" or not isinstance(first.arguments, tuple):
        return False
    return len(arguments) > 1 and [type(each) for each in first.arguments] == [str]


def _is_json(value: Any, depth: int = _DEEPEST_CONSTANT) -> bool:
    if depth == 0:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_json(each, depth - 1) for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_json(each, depth - 1) for each in value)
    if isinstance(value, str):
        return not list(unstorable("", value))
    if isinstance(value, int):
        return _SMALLEST_CONSTANT <= value <= _LARGEST_CONSTANT
    return value is None or (isinstance(value, float) and not list(out_of("", value, -1e300, 1e300)))
