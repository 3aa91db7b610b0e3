"""The URLs that participants write into their replies. A call goes only to a URL below the participant's own one."""

import re
from urllib.parse import SplitResult, unquote, urlsplit

from machines.references import FillError

_DEFAULT_PORTS = {"http": 80, "https": 443}
#: Longest URL that is called, in characters.
LONGEST_URL = 2_000
_LEGAL = re.compile(r"[!-\[\]-~]+")  # printable ASCII without a space and a backslash


def below(base: str, address: str) -> str:
    """Return the URL that a participant has written, as a URL below `base`, the participant's own URL.

    address: a whole URL, or a path from the root of the server. Raise FillError when it leads elsewhere, because the
    call shows the participant's credential, and because our network trusts this service more than the participant.
    """
    if len(address) > LONGEST_URL or not _LEGAL.fullmatch(address):
        raise FillError(f"the URL has more than {LONGEST_URL} characters, or one that no URL has")
    try:
        own, found = urlsplit(base), urlsplit(address)
        same = not found.netloc or _origin(own.scheme, own) == _origin(found.scheme or own.scheme, found)
    except ValueError:
        raise FillError(f"{address!r} is no URL") from None
    if "@" in found.netloc or not same or (found.scheme and not found.netloc):
        raise FillError(f"{address!r} is at another server than {own.scheme}://{own.netloc.rpartition('@')[2]}")
    root, path = own.path.rstrip("/"), found.path or "/"
    if not (path == root or path.startswith(f"{root}/")):
        raise FillError(f"{address!r} is not below {root or '/'}")
    if {".", ".."} & set(re.split(r"[/\\]", unquote(unquote(path)))):
        raise FillError(f"{address!r} has a segment . or ..")
    return f"{own.scheme}://{own.netloc}{path}{f'?{found.query}' if found.query else ''}"


def _origin(scheme: str, url: SplitResult) -> tuple[str, str | None, int | None]:
    return scheme, url.hostname, url.port or _DEFAULT_PORTS.get(scheme)
