"""Functions that all checks of a table use: they show a value as a short text, and check its type and bounds."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite
from typing import Any

from machines.references import unstorable_text
from machines.words import Misused


def column_of(owner: object, column: str) -> Any:
    """Return a column's value as Any. It may have another type than declared: authors need not run a type checker."""
    return getattr(owner, column)


def no_text(what: str, value: object) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{what} {shown(value)} is no text; write a name in quotes"


def unstorable(what: str, text: str) -> Iterator[str]:
    if unstorable_text(text):
        yield f"{what} {shown(text)}, which has a NUL or a lone surrogate that no JSON may have; take it out"


def misused(what: str, value: Misused) -> Iterator[str]:
    """Yield the problem of a word with wrong arguments."""
    yield f"{what}: {value.problem}"


def out_of(
    what: str, value: Any, least: float, most: float, *, whole: bool = False, above: bool = False
) -> Iterator[str]:
    """Yield a problem for a value that is not a number from `least` to `most`.

    what: the words before the value in the problem. whole: a fraction is a problem. above: `least` is a problem.
    """
    kinds = int if whole else (int, float)
    number = isinstance(value, kinds) and not isinstance(value, bool) and (isinstance(value, int) or isfinite(value))
    if not number or not least <= value <= most or (above and value == least):
        sort = "a whole number" if whole else "a number"
        first = f"above {least}" if above else f"from {least}"
        yield f"{what}{shown(value)} is out of bounds; give {sort} {first} to {most}"


def shown(value: object) -> str:
    """Return any value as a short text."""
    if isinstance(value, Misused):
        return f"{value.word}() with other arguments than it takes"
    if isinstance(value, StrEnum):
        value = str(value)
    text = str(value) if isinstance(value, Decimal) else f"a {type(value).__name__}"
    if isinstance(value, (str, int, float, type(None))):
        text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004  one line of an error message


def mend(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return the remedy for an unknown word: the most similar known word, if there is one, or `otherwise`."""
    close = get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}? or {otherwise}" if close else otherwise
