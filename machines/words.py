"""The words of a table as functions: arguments that a word does not take become a problem of the table.

Python would raise a TypeError at the first wrong argument. That error would name neither the table nor the step nor the
legal words. So a word returns a `Misused` instead, and check() names it with every other problem of the table.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast, get_args

_P = ParamSpec("_P")
_R = TypeVar("_R")
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_CALL, _STEP, _SAGA = "a call such as post(…)", "a step such as pivot(…)", "Saga(…)"
#: Words that make a step.
STEPS = ("read", "compensatable", "pivot", "retriable", "pause", "wait", "approval", "sub", "together", "each")
_CALLING = STEPS[:4]
#: Column → the word that takes it, for the remedy when an author used the column with another word.
HOME: Mapping[str, str] = {
    **dict.fromkeys(("query", "headers", "body", "form", "keeps", "means"), _CALL),
    **dict.fromkeys(
        (
            "done",
            "refused",
            "doing",
            "undo",
            "undoing",
            "probe",
            "repeatable",
            "later",
            "timeout_s",
            "dwell_s",
            "when",
            "amount",
        ),
        _STEP,
    ),
    **dict.fromkeys(
        (
            "at_end",
            "at_once",
            "deadline_s",
            "events",
            "participants",
            "started_by",
            "completed",
            "compensated",
            "priority",
            "titles",
        ),
        _SAGA,
    ),
}


@dataclass(frozen=True)
class Misused:
    """Replaces, in a table, a word with arguments that the word does not take; check() refuses it."""

    #: The word, such as "pivot".
    word: str
    #: The arguments without a name, as the author wrote them.
    values: tuple[Any, ...]
    #: The arguments with a name.
    named: Mapping[str, Any]
    #: What is wrong, and the remedy.
    problem: str

    @property
    def step_name(self) -> str:
        """The name of the step that the word was to make; "" for another word, and for a step without a name."""
        name = self.named.get("name", self.values[0] if self.values else "")
        return name if self.word in STEPS and isinstance(name, str) else ""


def word(constructor: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return the constructor; for arguments that it does not take, it returns a `Misused`."""
    takes = inspect.signature(constructor)

    @wraps(constructor)
    def checked(*values: _P.args, **named: _P.kwargs) -> _R:
        if problem := misuse(constructor.__name__, takes, values, named):
            return cast("_R", Misused(constructor.__name__, values, named, problem))
        return constructor(*values, **named)

    return checked


class WordClass(type):
    """The type of a class that is a word of a table, such as Retry.

    Calling the class with wrong arguments returns a `Misused`, as with a function that `word` decorates.
    """

    def __call__(cls, *values: Any, **named: Any) -> Any:
        takes = inspect.signature(vars(cls)["__init__"])
        takes = takes.replace(parameters=list(takes.parameters.values())[1:])  # without self
        if problem := misuse(cls.__name__, takes, values, named):
            return cls.misused(Misused(cls.__name__, values, named, problem))
        return super().__call__(*values, **named)

    def misused(cls, misused: Misused) -> Any:
        """Return the replacement in the table for a call with wrong arguments."""
        return misused


def misuse(name: str, takes: inspect.Signature, values: Sequence[Any], named: Mapping[str, Any]) -> str:
    """Return what is wrong with the arguments of a word, and which arguments it takes; "": nothing is wrong."""
    problems = list(_problems(name, takes, values, named))
    placed, names = columns_of(takes)
    has = ", ".join([*placed, *(f"{each}=" for each in names or ())])
    return "; ".join(problems) + (f"; it has {has}" if has else "") if problems else ""


def _problems(name: str, takes: inspect.Signature, values: Sequence[Any], named: Mapping[str, Any]) -> Iterator[str]:
    placed, names = columns_of(takes)
    parameters = takes.parameters.values()
    places = [each.name for each in parameters if each.kind in _PLACED]
    filled = places[: len(values)]
    # check() explains for each kind of step why it does not take undo=, probe= or refused=.
    legal = [*(named if names is None else names), *(each for each in HOME if HOME[each] == _STEP and name in _CALLING)]
    for given in named:
        if given in placed and given not in filled:
            yield f"{name}() takes {given} without its name"
        elif given in filled and given not in placed:
            yield f"{name}() has {given}= twice"
        elif given not in legal and given in HOME:
            yield f"{name}() has no {given}=, which belongs to {HOME[given]}"
        elif given not in legal:
            close = get_close_matches(given, names or (), n=1)
            yield f"{name}() has no {given}={f', did you mean {close[0]}=?' if close else ''}"
    required = [each.name for each in parameters if each.default is each.empty and each.kind in (*_PLACED, *_NAMED)]
    if missing := [each for each in required if each not in (*filled, *named)]:
        yield f"{name}() lacks {', '.join(each if each in placed else f'{each}=' for each in missing)}"
    if len(values) > len(places) and not any(each.kind is each.VAR_POSITIONAL for each in parameters):
        plural = "" if len(places) == 1 else "s"
        yield f"{name}() takes {len(places)} value{plural} without a name, not {len(values)}"


def columns_of(takes: inspect.Signature) -> tuple[list[str], list[str] | None]:
    """Return the positional-only parameters of a word, and the names of the others; None: it takes any name."""
    placed: list[str] = []
    names: list[str] = []
    for each in takes.parameters.values():
        if each.kind is each.POSITIONAL_ONLY:
            placed.append(each.name)
        elif each.kind in _NAMED:
            names.append(each.name)
        elif each.kind is each.VAR_KEYWORD:
            if not (columns := get_args(each.annotation)):
                return placed, None
            names += columns[0].__annotations__
    return placed, names
