"""A cache in Redis that all processes share. Any value can be lost at any time.

Correct results never depend on the cache, because only the database is authoritative. When a value is missing, the
caller works as if there were no Redis.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import structlog

from app.breaker import Breaker, BreakerPolicy

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")
_log = structlog.get_logger("redis")
#: Longest wait for Redis, in seconds. A longer wait is useless, because the database answers within this time.
TIMEOUT_S = 0.1
#: After one failure Redis is not used for 5 s, so that a slow Redis does not delay each request.
_POLICY = BreakerPolicy(failures=1, open_s=5.0, window_s=1.0)


class SharedCache:
    """Values that expire. Without a URL there is no Redis, and every value is missing."""

    def __init__(self, url: str | None) -> None:
        self._breaker = Breaker(_POLICY)
        self._redis = _client(url) if url else None

    def get(self, key: str) -> bytes | None:
        """Return a value; None when it is missing, or when Redis does not answer."""
        value = self._query(lambda server: server.get(_prefixed(key)), None)
        return value.encode() if isinstance(value, str) else value

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Store a value, which expires after `ttl_s` seconds."""
        self._query(lambda server: server.set(_prefixed(key), value, px=int(ttl_s * 1000)), None)

    def drop(self, *keys: str) -> None:
        """Delete values."""
        self._query(lambda server: server.delete(*map(_prefixed, keys)), None)

    def lock(self, key: str, ttl_s: float) -> bool | None:
        """Return True for the first caller within `ttl_s` seconds, False for later callers; None without Redis."""
        return self._query(lambda server: bool(server.set(_prefixed(key), b"", nx=True, px=int(ttl_s * 1000))), None)

    def expiries_s(self, keys: Sequence[str]) -> dict[str, float]:
        """Return each key that exists → the seconds until it expires."""

        def query(server: "Redis") -> dict[str, float]:
            pipeline = server.pipeline(transaction=False)
            for key in keys:
                pipeline.pttl(_prefixed(key))
            return {key: left / 1000 for key, left in zip(keys, pipeline.execute(), strict=True) if left > 0}

        return self._query(query, {}) if keys else {}

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
