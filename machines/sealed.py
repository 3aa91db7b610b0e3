"""Sealed values: what a database holds in the place of a secret value that was encrypted.

A sealed value is an object with one member. Code that cannot or must not open it shows "***".
"""

from collections.abc import Callable, Mapping
from typing import Any

#: The only member of a sealed value.
SEALED = "saga.sealed"
#: What stands in the place of a value that was erased where it was stored in clear. No key opens it.
GONE = {SEALED: "erased"}


def sealed(text: str) -> dict[str, str]:
    """Return the sealed value of an encrypted text."""
    return {SEALED: text}


def is_sealed(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get(SEALED), str)


def opened(value: Any, open_text: Callable[[str], Any]) -> Any:
    """Return a JSON value with each sealed value in it opened.

    open_text: returns the value of an encrypted text; it raises ValueError for a text that was not encrypted for this
    saga, which then stays as it is: a client may send such an object.
    """
    if isinstance(value, Mapping):
        if is_sealed(value):
            try:
                return open_text(value[SEALED])
            except ValueError:
                return value
        return {name: opened(each, open_text) for name, each in value.items()}
    if isinstance(value, list):
        return [opened(each, open_text) for each in value]
    return value
