"""Reads and checks LINKS: the links to traces, logs, runbooks and the shop on the pages of the operators."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from app.settings import ConfigError

#: What a link may refer to. Every page of a saga knows the first ones; `step` and `participant` belong to one call.
OF_A_SAGA = ("saga_id", "trace_id", "type", "order", "client", "parent_id")
OF_A_CALL = ("step", "participant")
_NAMES = frozenset({*OF_A_SAGA, *OF_A_CALL})
_PLACE = re.compile(r"\{([^{}]*)\}")
_LONGEST_WORDS = 40
_EXAMPLE = "Trace=https://traces.example/{trace_id}"


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link whose URL has places such as `{saga_id}`."""

    words: str
    url: str

    @property
    def names(self) -> frozenset[str]:
        """The names of the places in the URL."""
        return frozenset(_PLACE.findall(self.url))

    def filled(self, values: Mapping[str, str | None]) -> str | None:
        """Return the URL with these values, percent-encoded; None when a value is missing."""
        if any(not values.get(name) for name in self.names):
            return None
        return _PLACE.sub(lambda place: quote(values[place[1]] or "", safe=""), self.url)


def links(environ: Mapping[str, str], name: str, default: tuple[Link, ...]) -> tuple[Link, ...]:
    """Return the links of a setting: `Words=URL`, separated by a comma and a blank, or by line breaks."""
    text = environ.get(name, "").strip()
    return tuple(_link(name, part.strip()) for part in re.split(r",\s+|\n", text) if part.strip()) if text else default


def _link(name: str, text: str) -> Link:
    words, sign, url = text.partition("=")
    link = Link(words=words.strip(), url=url.strip())
    if not sign or not 0 < len(link.words) <= _LONGEST_WORDS:
        raise ConfigError(f"{name} must have links such as {_EXAMPLE}, with a comma and a blank between them")
    if unknown := sorted(link.names - _NAMES):
        raise ConfigError(
            f"{name}: {link.words} has {{{unknown[0]}}}; use one of {', '.join((*OF_A_SAGA, *OF_A_CALL))}"
        )
    parts = urlsplit(_PLACE.sub("x", link.url)) if _is_printable(link.url) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{name}: {link.words} must have a URL of http or https, such as {_EXAMPLE}")
    if "{" in urlsplit(link.url).netloc:
        raise ConfigError(f"{name}: {link.words} must name its server; a value may stand only behind it")
    return link


def _is_printable(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url
