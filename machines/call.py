"""A call to a participant as the table writes it: pure data, filled in from the saga when the call is sent.

A *reference* names where a value comes from: `client_id` is a field of the saga's data, `lire_panier.montant` is
a field of the reply to step `lire_panier`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import quote

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, kw_only=True)
class Call:
    """An HTTP request to a participant, with references in the place of values."""

    #: HTTP method, in capitals.
    method: str
    #: Name of the participant; its URL comes from the settings.
    participant: str
    #: Path below the participant's URL. `{reference}` stands for a value.
    path: str
    #: Field on the wire → reference that its value comes from.
    body: Mapping[str, str] = field(default_factory=dict)

    @property
    def references(self) -> tuple[str, ...]:
        return (*self.path_references, *self.body.values())

    @property
    def path_references(self) -> tuple[str, ...]:
        return tuple(_PLACEHOLDER.findall(self.path))

    @property
    def plain_path(self) -> str:
        """The path with an `x` in the place of each placeholder, for checks of its form."""
        return _PLACEHOLDER.sub("x", self.path)

    @property
    def well_formed(self) -> bool:
        return not set("{}") & set(_PLACEHOLDER.sub("", self.path))

    def __str__(self) -> str:
        return f"{self.method} {self.participant}{self.path}"

    def filled_path(self, data: Mapping[str, Any], results: Mapping[str, Any]) -> str:
        """Return the path with every value percent-encoded, so that no value can leave its segment.

        Raise FillError for a value that would change the path even when it is encoded.
        """
        return _PLACEHOLDER.sub(lambda found: segment(found[1], look_up(found[1], data, results)), self.path)

    def filled_body(self, data: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
        return {name: look_up(reference, data, results) for name, reference in self.body.items()}


class FillError(ValueError):
    """The call cannot be built from the saga's data and replies; nothing was sent."""


def get(participant: str, path: str, /) -> Call:
    return Call(method="GET", participant=participant, path=path)


def post(participant: str, path: str, /, **body: str) -> Call:
    return Call(method="POST", participant=participant, path=path, body=body)


def split(reference: str) -> tuple[str | None, str]:
    """Split a reference into its step (None for the saga's data) and its field."""
    step, dot, name = reference.rpartition(".")
    return (step if dot else None), name


def look_up(reference: str, data: Mapping[str, Any], results: Mapping[str, Any]) -> Any:
    step, name = split(reference)
    try:
        return data[name] if step is None else results[step][name]
    except KeyError:  # a step that was resolved by hand may have no reply
        raise FillError(f"{reference} is not known") from None


def segment(reference: str, value: Any) -> str:
    """Return a value as one segment of a path, with the same text before and after the saga was stored and read back.

    Raise FillError for a value that cannot be a segment, and for one that leads to another path.
    """
    match value:
        case bool():
            text = "true" if value else "false"
        case Decimal():
            text = format(value, "f")
        case str() | int() | float():
            text = str(value)
        case None:
            raise FillError(f"{reference} is null, which is no part of a path")
        case _:
            what = "an object" if isinstance(value, Mapping) else "a list"
            raise FillError(f"{reference} is {what}, which is no part of a path")
    if text in ("", ".", ".."):
        raise FillError(f"{reference} is {text!r}, which is no part of a path")
    return quote(text, safe="")
