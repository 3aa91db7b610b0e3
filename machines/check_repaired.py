"""The step that an author meant by a word with wrong arguments, so that the rest of the step can be checked."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from machines import step as steps
from machines.branching import sub
from machines.call import Call
from machines.step import Step
from machines.words import Misused, columns_of

#: Replaces a call that is missing or has a value of a wrong type. Any reference to its reply is legal.
ANY = Call(method="POST", participant="", path="/")
_WORDS: Mapping[str, Callable[..., Step]] = {
    **{name: getattr(steps, name) for name in (*steps.CALLING, "pause", "wait", "approval")},
    "sub": sub,
}
#: Required argument → its replacement; every other one is replaced by "". The time is too short for any deadline.
_MISSING: Mapping[str, Any] = {"call": ANY, "undo": ANY, "within_s": 0.001}


def repaired(misused: Misused) -> Step | None:
    """Return the step with its legal arguments, and with replacements for the missing ones.

    Return None for a word that makes no step, or a group.
    """
    constructor = _WORDS.get(misused.word)
    if constructor is None:
        return None
    takes = inspect.signature(constructor)
    places = [each.name for each in takes.parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
    _, names = columns_of(takes)
    given = dict(zip(places, misused.values, strict=False))
    given |= {name: value for name, value in misused.named.items() if name in (names or ())}
    required = [each.name for each in takes.parameters.values() if each.default is each.empty]
    required = [name for name in required if name != "columns"]
    return constructor(**{name: _MISSING.get(name, "") for name in required} | given)
