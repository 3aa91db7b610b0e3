"""API keys: shown once, stored as a digest, and looked up in the database at most every few seconds."""

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from app.access.grants import in_order, problem_of_grant
from app.access.key_limits import Rate, Requests, networks_of
from app.access.permissions import Scope
from app.access.principal import Principal, key
from app.errors import ForbiddenError, InvalidError, UnauthenticatedError
from app.networks import Address, Network, within
from app.store.api_keys import NOTICE_S, ApiKeys
from app.store.tenants import check_name

#: How long a key lookup is cached, in seconds; a revoked key stops working within this time.
KEY_CACHE_S = 5.0
#: Largest number of cached keys. Only valid keys are cached, and a service has few of them.
_CACHED_KEYS = 1000
#: Longest validity of a key, in days.
LONGEST_DAYS = 366
#: Shortest time between two writes of the last use of keys, in seconds.
USED_EVERY_S = 60.0
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A new key, which is shown once."""

    #: The whole key.
    secret: str
    #: The beginning of the key, which the lists of keys show.
    prefix: str


@dataclass(frozen=True, kw_only=True)
class _KnownKey:
    """A valid key, as it is cached."""

    principal: Principal
    prefix: str
    networks: tuple[Network, ...]
    rate: Rate | None
    #: When the key is looked up again, on the clock of the key ring.
    until: float


class KeyRing:
    """Makes keys, and returns the principal of a key. types: the types of saga that a grant may name.

    requests: counts the requests of keys that have a rate.
    """

    def __init__(
        self, keys: ApiKeys, types: Collection[str], requests: Requests, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.keys, self._types, self._requests, self._clock = keys, types, requests, clock
        self._cache: dict[str, _KnownKey] = {}
        #: Prefixes of the keys that were used since the last write.
        self._used: set[str] = set()
        self._written_at = float("-inf")

    def principal(self, secret: str, client: Callable[[], Address | None] = lambda: None) -> Principal:
        """Return the principal of a key. client: returns the address of the sender.

        Raise UnauthenticatedError for an unknown, revoked or expired key, ForbiddenError for an address outside its
        networks, and BusyError for a request beyond its rate.
        """
        known = self._known(secret)
        if known.networks:
            address = client()
            if not within(address, known.networks):
                raise ForbiddenError(f"this API key is for other networks than that of {address or 'this client'}")
        if known.rate is not None:
            self._requests.count(known.prefix, known.rate)
        self._used.add(known.prefix)
        return known.principal

    def write_used(self) -> None:
        """Write which keys were used, at most once in USED_EVERY_S seconds. No request waits for it."""
        now = self._clock()
        if self._used and now >= self._written_at + USED_EVERY_S:
            self._written_at = now
            used, self._used = self._used, set()
            self.keys.used(sorted(used), USED_EVERY_S)

    def _known(self, secret: str) -> _KnownKey:
        digest, now = digest_of(secret), self._clock()
        found = self._cache.get(digest)
        if found and now < found.until:
            return found
        row = self.keys.find_valid(digest)
        if row is None:
            self._cache.pop(digest, None)
            raise UnauthenticatedError(
                "this API key is unknown, revoked or expired; `saga key list` shows the live keys"
            )
        if len(self._cache) >= _CACHED_KEYS:
            self._cache.clear()
        self._cache[digest] = known = _known_key(row, now + min(KEY_CACHE_S, row.left_s))
        return known

    def make(
        self, name: str, grants: Iterable[str], days: int, actor: str, *, networks: Iterable[str] = (),
        rate_limit: str = "", tenant: str = "",
    ) -> NewKey:  # fmt: skip
        """Return a new key. grants: see `app.access.grants`. networks: where it may be used; none: everywhere.

        rate_limit: such as `100/minute`; "": no limit. tenant: whose sagas it sees and starts; "": all sagas. Raise
        InvalidError for an illegal value, and ConflictError when two valid keys have this name already.
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
        if rate_limit:
            Rate.of(rate_limit)
        if tenant:
            check_name(tenant)
        prefix = f"saga_{secrets.token_hex(4)}"
        made = NewKey(prefix=prefix, secret=f"{prefix}_{secrets.token_urlsafe(32)}")
        self.keys.add(
            prefix=prefix,
            digest=digest_of(made.secret),
            name=name,
            scopes=sorted(words, key=in_order),
            networks=list(map(str, networks_of(networks))),
            rate_limit=rate_limit or None,
            days=days,
            actor=actor,
            tenant=tenant or None,
        )
        return made


def expires_soon(left_s: float) -> bool:
    """Return True for a valid key that needs a successor. left_s: seconds until it expires."""
    return 0 < left_s <= NOTICE_S


def _known_key(row: Row[Any], until: float) -> _KnownKey:
    expires = row.expires_at.isoformat(timespec="seconds") if expires_soon(row.left_s) else None
    return _KnownKey(
        principal=key(row.name, row.scopes, expires, row.tenant),
        prefix=row.prefix,
        networks=networks_of(row.networks or ()),
        rate=Rate.of(row.rate_limit) if row.rate_limit else None,
        until=until,
    )


def digest_of(secret: str) -> str:
    """Return the digest of a key. A random key of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
