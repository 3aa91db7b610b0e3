"""API keys: shown once, stored as a digest, and looked up in the database at most every few seconds."""

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from app.access.grants import in_order, problem_of_grant
from app.access.permissions import Scope
from app.access.principal import Principal, key
from app.errors import InvalidError, UnauthenticatedError
from app.store.accounts import ApiKeys

#: How long a key lookup is cached, in seconds; a revoked key stops working within this time.
KEY_CACHE_S = 5.0
#: Largest number of cached keys. Only valid keys are cached, and a service has few of them.
_CACHED_KEYS = 1000
#: Longest validity of a key, in days.
LONGEST_DAYS = 366
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A new key, which is shown once."""

    #: The whole key.
    secret: str
    #: The beginning of the key, which the lists of keys show.
    prefix: str


class KeyRing:
    """Makes keys, and returns the principal of a key. types: the types of saga that a grant may name."""

    def __init__(self, keys: ApiKeys, types: Collection[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.keys, self._types, self._clock = keys, types, clock
        self._cache: dict[str, tuple[Principal, float]] = {}

    def principal(self, secret: str) -> Principal:
        """Return the principal of a key. Raise UnauthenticatedError for an unknown, revoked or expired key."""
        digest, now = digest_of(secret), self._clock()
        found = self._cache.get(digest)
        if found and now < found[1]:
            return found[0]
        row = self.keys.find_valid(digest)
        if row is None:
            self._cache.pop(digest, None)
            raise UnauthenticatedError(
                "this API key is unknown, revoked or expired; `saga key list` shows the live keys"
            )
        found_principal = key(row.name, row.scopes)
        if len(self._cache) >= _CACHED_KEYS:
            self._cache.clear()
        self._cache[digest] = found_principal, now + min(KEY_CACHE_S, row.left_s)
        return found_principal

    def make(self, name: str, grants: Iterable[str], days: int, actor: str) -> NewKey:
        """Return a new key. grants: see `app.access.grants`.

        Raise InvalidError for an illegal name, grant or number of days. Raise ConflictError when two valid keys have
        this name already.
        """
        words = list(dict.fromkeys(grants))
        if not NAME.fullmatch(name):
            raise InvalidError(("/name", "Give 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit."))
        if not words:
            raise InvalidError(("/scopes", f"Give at least one of {', '.join(Scope)}."))
        for word in words:
            if problem := problem_of_grant(word, self._types):
                raise InvalidError(("/scopes", problem))
        if not 1 <= days <= LONGEST_DAYS:
            raise InvalidError(("/days", f"Give 1 to {LONGEST_DAYS}."))
        prefix = f"saga_{secrets.token_hex(4)}"
        made = NewKey(prefix=prefix, secret=f"{prefix}_{secrets.token_urlsafe(32)}")
        self.keys.add(
            prefix=prefix,
            digest=digest_of(made.secret),
            name=name,
            scopes=sorted(words, key=in_order),
            days=days,
            actor=actor,
        )
        return made


def digest_of(secret: str) -> str:
    """Return the digest of a key. A random key of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
