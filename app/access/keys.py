"""API keys: made once, shown once, kept as a digest, and looked up at most every few seconds."""

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.access.principal import Principal, key
from app.access.roles import Scope
from app.errors import InvalidError, UnauthenticatedError
from app.store.api_keys import ApiKeys

#: For so long a process believes what it has read of a key; then a revoked one is refused everywhere.
BELIEVED_S = 5.0
#: Keys are few; more than this many are only ever remembered when somebody makes them up, which needs the database.
_REMEMBERED = 1000
LONGEST_DAYS = 366
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key as it is shown to its owner, once. secret is all of it, prefix its visible beginning."""

    secret: str
    prefix: str


class KeyRing:
    def __init__(self, keys: ApiKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self.keys, self._clock = keys, clock
        self._known: dict[str, tuple[Principal, float]] = {}

    def principal(self, secret: str) -> Principal:
        """Tell whose key it is. Raises UnauthenticatedError."""
        digest, now = digest_of(secret), self._clock()
        found = self._known.get(digest)
        if found and now < found[1]:
            return found[0]
        row = self.keys.live(digest)
        if row is None:
            self._known.pop(digest, None)
            raise UnauthenticatedError("this API key is unknown, revoked or expired; `saga key list` shows which are")
        who = key(row.name, frozenset(map(Scope, row.scopes)))
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[digest] = who, now + min(BELIEVED_S, row.left_s)
        return who

    def make(self, name: str, scopes: Iterable[Scope], days: int, actor: str) -> NewKey:
        """Return a new key. Raise InvalidError, or ConflictError when two keys of that name are live already."""
        wanted = frozenset(scopes)
        ordered = [scope for scope in Scope if scope in wanted]
        if not NAME.fullmatch(name):
            raise InvalidError(("/name", "Give 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit."))
        if not ordered:
            raise InvalidError(("/scopes", f"Give at least one of {', '.join(Scope)}."))
        if not 1 <= days <= LONGEST_DAYS:
            raise InvalidError(("/days", f"Give 1 to {LONGEST_DAYS}."))
        prefix = f"saga_{secrets.token_hex(4)}"
        made = NewKey(prefix=prefix, secret=f"{prefix}_{secrets.token_urlsafe(32)}")
        self.keys.add(prefix=prefix, digest=digest_of(made.secret), name=name, scopes=ordered, days=days, actor=actor)
        return made


def digest_of(secret: str) -> str:
    """256 bits of chance need no slow hash."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
