"""A cache in Redis that all processes share. Any value can be lost at any time.

Correct results never depend on the cache, because only the database is authoritative. When a value is missing, the
caller works as if there were no Redis.

Each value has the time at which it expires, and an HMAC over its key, this time and the value. A value that somebody
else wrote, moved to another key, or kept longer, is as good as missing.
"""

import hmac
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from app.breaker import Breaker, BreakerPolicy
from app.derived_keys import derived_key

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")
_log = structlog.get_logger("redis")
#: Longest wait for Redis, in seconds. A longer wait is useless, because the database answers within this time.
TIMEOUT_S = 0.1
#: After one failure Redis is not used for 5 s, so that a slow Redis does not delay each request.
_POLICY = BreakerPolicy(failures=1, open_s=5.0, window_s=1.0)
#: Lengths, in bytes, of the two parts before a stored value: the HMAC, and the expiry in milliseconds since 1970.
_MAC, _EXPIRY = 32, 8


class SharedCache:
    """Values that expire. Without a URL there is no Redis, and every value is missing.

    secret_key: the SECRET_KEY that all processes share. Without it, no value can be signed, so every value is missing.
    clock: the time of day, in seconds since 1970.
    """

    def __init__(self, url: str | None, secret_key: str | None, clock: Callable[[], float] = time.time) -> None:
        self._breaker = Breaker(_POLICY)
        self._redis = _client(url) if url else None
        self._key = derived_key(secret_key, b"shared-cache") if secret_key else None
        self._clock = clock

    def get(self, key: str) -> bytes | None:
        """Return a value; None when it is missing or not ours, or when Redis does not answer."""
        if self._key is None:
            return None
        return self._read(key, self._query(lambda server: server.get(_prefixed(key)), None))[0]

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Store a value, which expires after `ttl_s` seconds."""
        if self._key is None:
            return
        left_ms = int(ttl_s * 1000)
        signed = (int(self._clock() * 1000) + left_ms).to_bytes(_EXPIRY) + value
        stored = self._mac(key, signed) + signed
        self._query(lambda server: server.set(_prefixed(key), stored, px=left_ms), None)

    def drop(self, *keys: str) -> None:
        """Delete values."""
        self._query(lambda server: server.delete(*map(_prefixed, keys)), None)

    def lock(self, key: str, ttl_s: float) -> bool | None:
        """Return True for the first caller within `ttl_s` seconds, False for later callers; None without Redis."""
        return self._query(lambda server: bool(server.set(_prefixed(key), b"", nx=True, px=int(ttl_s * 1000))), None)

    def count(self, key: str, ttl_s: int) -> int | None:
        """Count a call, and return the number of calls with this key within about `ttl_s` seconds; None without Redis.

        The number is not signed: who can write to Redis can only change how many requests are answered.
        """

        def counted(server: "Redis") -> int:
            both = server.pipeline(transaction=False)
            both.incr(_prefixed(key))
            both.expire(_prefixed(key), ttl_s)
            return int(both.execute()[0])

        return self._query(counted, None)

    def expiries_s(self, keys: Sequence[str]) -> dict[str, float]:
        """Return each key that has a value → the seconds until it expires."""
        if self._key is None or not keys:
            return {}
        missing: list[Any] = [None] * len(keys)
        found = self._query(lambda server: server.mget([_prefixed(key) for key in keys]), missing)
        read = {key: self._read(key, stored) for key, stored in zip(keys, found, strict=True)}
        return {key: left_s for key, (value, left_s) in read.items() if value is not None}

    def _read(self, key: str, stored: Any) -> tuple[bytes | None, float]:
        """Return a stored value and the seconds until it expires; None when it is missing, expired or not ours."""
        if stored is None:
            return None, 0.0
        code, signed = stored[:_MAC], stored[_MAC:]
        if not hmac.compare_digest(code, self._mac(key, signed)):
            _log.warning("redis.forged", key=key)
            return None, 0.0
        left_s = int.from_bytes(signed[:_EXPIRY]) / 1000 - self._clock()
        return (signed[_EXPIRY:], left_s) if left_s > 0 else (None, 0.0)

    def _mac(self, key: str, signed: bytes) -> bytes:
        assert self._key is not None
        return hmac.digest(self._key, key.encode() + b"\0" + signed, "sha256")

    def _query(self, query: "Callable[[Redis], T]", default: T) -> T:
        if self._redis is None or self._breaker.admit(TIMEOUT_S) > 0:
            return default
        from redis import RedisError  # noqa: PLC0415

        try:
            answer = query(self._redis)
        except RedisError as error:
            self._breaker.failed()
            _log.warning("redis.away", error=str(error))
            return default
        self._breaker.succeeded()
        return answer


def _client(url: str) -> "Redis":
    from redis import Redis  # noqa: PLC0415  a process without a Redis starts faster

    # No retries, because the caller can work without the answer and must not wait for it.
    return Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=None)


def _prefixed(key: str) -> str:
    return f"saga/{key}"
