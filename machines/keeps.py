"""What a call keeps of its reply: typed values from its body and its headers, under names that the author chooses.

    keeps={"booking.id": text(),                                  # by its path; `fly.booking.id` refers to it
           "price": at("booking.price.amount", money()),          # under another name
           "id": header("Location", last_segment=True)}           # from a header

Only the kept values are stored. When a reply lacks one of them, the outcome of the call is in doubt.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from machines.accepting import NotAcceptedError, accept
from machines.fields import Field, text
from machines.references import parts, within
from machines.words import word

#: Longest value that is kept from a header, in characters, unless the author gives header() a field.
LONGEST_HEADER = 2_000


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One value that is kept of a reply."""

    #: Type of the value.
    field: Field
    #: Path in the body, or name of the header.
    source: str
    #: True: `source` is the name of a header.
    header: bool = False
    #: True: the header holds a URL, and only the last segment of its path is kept.
    last_segment: bool = False
    #: Second path in the body, for replies without a value at `source`; "": there is no second path.
    otherwise: str = ""

    def __str__(self) -> str:
        place = f"header {self.source}" if self.header else f"field {self.source}"
        return f"{place} or {self.otherwise}" if self.otherwise else place


@word
def at(path: str, field: Field, /, *, otherwise: str = "") -> Kept:
    """Return a value that is kept under another name than its path in the body.

    otherwise: a second path, for replies in which the value is missing or null at `path`.
    """
    return Kept(field=field, source=path, otherwise=otherwise)


@word
def header(name: str, field: Field | None = None, /, *, last_segment: bool = False, otherwise: str = "") -> Kept:
    """Return a value that is kept from a header, by default as text.

    last_segment: the header holds a URL; keep the last segment of its path, decoded: `42` of `https://x/rentals/42?a=b`.
    otherwise: a path in the body, for replies without the header.
    """
    field = field or text(high=LONGEST_HEADER)
    return Kept(field=field, source=name, header=True, last_segment=last_segment, otherwise=otherwise)


def kept_of(name: str, declared: Kept | Field) -> Kept:
    """Return the declaration as a `Kept`. A plain field is kept from the body, and its name is its path."""
    return declared if isinstance(declared, Kept) else Kept(field=declared, source=name)


def keep(
    keeps: Mapping[str, Kept | Field], body: Any, headers: Mapping[bytes, bytes]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what is kept of a reply, as nested objects, and the reason for each value that the reply lacks.

    The reason is "" for a missing value. headers: those of the reply, by name in lower case.
    """
    stored: dict[str, Any] = {}
    lacking: dict[str, str] = {}
    for name, declared in keeps.items():
        kept = kept_of(name, declared)
        try:
            found = accept(kept.field, _found(kept, body, headers), strict=False)
        except LookupError:
            if kept.field.default is not None:
                _put(stored, parts(name), kept.field.default)
            elif not kept.field.optional:
                lacking[str(kept)] = ""
            continue
        except NotAcceptedError as error:
            where = ".".join([str(kept), *map(str, error.path)])
            lacking[str(kept)] = f"{where} {error.problem}"
            continue
        _put(stored, parts(name), found)
    return stored, lacking


def _found(kept: Kept, body: Any, headers: Mapping[bytes, bytes]) -> Any:
    """Return the value of the reply that is to be kept. Raise LookupError when the reply does not have it."""
    if kept.otherwise:
        try:
            found = _found(replace(kept, otherwise=""), body, headers)
        except LookupError:
            found = None
        return _in_body(body, kept.otherwise) if found is None else found
    return _in_header(kept, headers) if kept.header else _in_body(body, kept.source)


def _in_body(body: Any, path: str) -> Any:
    try:
        return within(body, parts(path))
    except TypeError:
        raise LookupError(path) from None


def _in_header(kept: Kept, headers: Mapping[bytes, bytes]) -> str:
    value = headers[kept.source.lower().encode()].strip().decode("latin-1")
    if not kept.last_segment:
        return value
    segment = unquote(urlsplit(value).path.rstrip("/").rpartition("/")[2])
    if not segment:
        raise LookupError(kept.source)
    return segment


def _put(stored: dict[str, Any], path: Iterable[str], value: Any) -> None:
    *above, last = path
    for name in above:
        stored = stored.setdefault(name, {})
    stored[last] = value
