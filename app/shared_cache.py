"""A cache shared by all processes, in Redis where there is one. Any value may be lost at any time.

It decides nothing. Every answer may be "not known", and then the caller works as if there were no Redis: only the
database holds the truth.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import structlog

from app.breaker import Breaker, BreakerPolicy

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")
_log = structlog.get_logger("redis")
#: Longest wait for Redis, in seconds; in that time the database would have answered.
TIMEOUT_S = 0.1
#: After one failure Redis is not used for 5 s, so that a slow one delays one request in hundreds, not each of them.
_POLICY = BreakerPolicy(failures=1, open_s=5.0, window_s=1.0)


class SharedCache:
    """Values that expire by themselves. Without a URL every answer is "not known"."""

    def __init__(self, url: str | None) -> None:
        self._breaker = Breaker(_POLICY)
        self._redis = _client(url) if url else None

    def get(self, key: str) -> bytes | None:
        """Return the value, or None when there is none or it is not known."""
        value = self._ask(lambda server: server.get(_named(key)), None)
        return value.encode() if isinstance(value, str) else value

    def put(self, key: str, value: bytes, for_s: float) -> None:
        self._ask(lambda server: server.set(_named(key), value, px=int(for_s * 1000)), None)

    def drop(self, *keys: str) -> None:
        self._ask(lambda server: server.delete(*map(_named, keys)), None)

    def lock(self, key: str, for_s: float) -> bool | None:
        """Return True for the first caller within that time, False for the others, and None when not known."""
        return self._ask(lambda server: bool(server.set(_named(key), b"", nx=True, px=int(for_s * 1000))), None)

    def lasting(self, keys: Sequence[str]) -> dict[str, float]:
        """Return those of the keys that exist, with the seconds until they expire."""

        def ask(server: "Redis") -> dict[str, float]:
            pipeline = server.pipeline(transaction=False)
            for key in keys:
                pipeline.pttl(_named(key))
            return {key: left / 1000 for key, left in zip(keys, pipeline.execute(), strict=True) if left > 0}

        return self._ask(ask, {}) if keys else {}

    def _ask(self, ask: "Callable[[Redis], T]", otherwise: T) -> T:
        if self._redis is None or self._breaker.admit(TIMEOUT_S) > 0:
            return otherwise
        from redis import RedisError  # noqa: PLC0415

        try:
            answer = ask(self._redis)
        except RedisError as error:
            self._breaker.failed()
            _log.warning("redis.away", error=str(error))
            return otherwise
        self._breaker.succeeded()
        return answer


def _client(url: str) -> "Redis":
    from redis import Redis  # noqa: PLC0415  a process without a Redis starts faster

    # No retry: the caller has another way, and no time.
    return Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=None)


def _named(key: str) -> str:
    return f"saga/{key}"
