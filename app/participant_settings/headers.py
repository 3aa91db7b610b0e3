"""The headers that settings name. Each header of a request has one source: the service, a setting, or the table."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from app.participant_settings.model import IDEMPOTENCY_HEADER, Auth
from machines.check_calls import OUR_HEADERS

if TYPE_CHECKING:
    from app.participant_settings.reading import Reader

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
#: Header that no setting can name, in lower case → the remedy. A table cannot set most of them either.
_TAKEN: Mapping[str, str] = dict.fromkeys(
    (*OUR_HEADERS, "keep-alive", "proxy-connection", "saga-reply-to"), "the service itself sets it; take it out"
) | {
    "content-type": "it belongs to the body of each call; write it in headers= of the call in the table",
    "proxy-authorization": 'it belongs to the proxy; write proxy = "http://user:password@host:port"',
}  # fmt: skip
_KEY, _CREDENTIAL = IDEMPOTENCY_HEADER.lower(), "authorization"


def plain_headers(reader: "Reader", headers: object) -> Mapping[str, str]:
    """Return the setting `headers`. Raise ConfigError for a header that has another source."""
    if not isinstance(headers, Mapping):
        raise reader.error("headers", 'must be a table, such as headers = {"Api-Version" = "2026-01-01"}')
    seen = set[str]()
    for name, text in headers.items():
        if not _NAME.fullmatch(name) or not (isinstance(text, str) and text.isascii() and text.isprintable()):
            raise reader.error("headers", f"has {name!r}, which is no header with one line of plain text")
        if problem := _TAKEN.get(name.lower()):
            raise reader.error("headers", f"has {name}, but {problem}")
        if name.lower() == _CREDENTIAL:
            raise reader.error("headers", f"has {name}, but it is a credential; write it as auth = {{type = …}}")
        if name.lower() == _KEY:
            raise reader.error("headers", f"has {name}, but it has the key of each call; take it out")
        if name.lower() in seen:
            raise reader.error("headers", f"has {name} twice; keep one of them")
        seen.add(name.lower())
    return dict(headers)


def header_name(reader: "Reader", setting: str, default: str = "") -> str:
    """Return a setting that is the name of a header. Raise ConfigError when the service uses that header itself."""
    name = reader.text(setting) or default
    if name and not _NAME.fullmatch(name):
        raise reader.error(setting, f"must be the name of a header, not {name[:40]!r}")
    if problem := _TAKEN.get(name.lower()):
        raise reader.error(setting, f"is {name}, but {problem}")
    return name


def check_sources(
    reader: "Reader", auth: Auth | None, idempotency_header: str, gateway: bool, tables: Iterable[str]
) -> None:
    """Raise ConfigError when two settings, or a setting and a table, name the same header.

    gateway: True when PARTICIPANTS_API_KEY is sent. tables: headers that the tables' calls to this participant set.
    """
    sources = {idempotency_header.lower(): "idempotency_header"}
    named = [("headers", name) for name in reader.headers]
    if auth:
        named += [(f"auth.{setting}", auth[setting]) for setting in ("header", "timestamp_header") if auth[setting]]
        if auth.type not in ("api_key", "hmac"):
            named.append(("auth", "Authorization"))
    if gateway:
        named.append(("PARTICIPANTS_API_KEY", "X-API-Key"))
    for setting, name in named:
        if other := sources.get(name.lower()):
            raise reader.error(other, f"and {setting} both set the header {name}; take one of them out")
        sources[name.lower()] = setting
    for name in sorted(tables):
        if name.lower() in sources and name.lower() != _KEY:
            problem = f"sets the header {name}, but a table's call sets it as well; take it out of one of them"
            raise reader.error(sources[name.lower()], problem)
