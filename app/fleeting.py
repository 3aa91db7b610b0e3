"""What all processes share and any of them may lose at any moment: Redis, where there is one.

Nothing is decided here. Every answer may be "not known", and then the work is done as if there were no Redis: the
database alone says what is true.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import structlog

from app.breaker import Breaker, BreakerPolicy

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")
_log = structlog.get_logger("redis")
#: Longer than this no request waits for it; the database would have answered by then.
TIMEOUT_S = 0.1
#: Left in peace after a failure, so that a slow one costs a request in a few hundred, and not each of them.
_POLICY = BreakerPolicy(failures=1, open_s=5.0, window_s=1.0)


class Fleeting:
    """Values that end by themselves. Without a URL nothing is ever known."""

    def __init__(self, url: str | None) -> None:
        self._breaker = Breaker(_POLICY)
        self._redis = _client(url) if url else None

    def get(self, key: str) -> bytes | None:
        """Give the value, or None: there is none, or it is not known."""
        value = self._ask(lambda server: server.get(_named(key)), None)
        return value.encode() if isinstance(value, str) else value

    def put(self, key: str, value: bytes, for_s: float) -> None:
        self._ask(lambda server: server.set(_named(key), value, px=int(for_s * 1000)), None)

    def drop(self, *keys: str) -> None:
        self._ask(lambda server: server.delete(*map(_named, keys)), None)

    def lock(self, key: str, for_s: float) -> bool | None:
        """Tell whether this is the first to ask within that time; None: not known."""
        return self._ask(lambda server: bool(server.set(_named(key), b"", nx=True, px=int(for_s * 1000))), None)

    def lasting(self, keys: Sequence[str]) -> dict[str, float]:
        """Give those of the keys that there are, with the seconds they have left."""

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
    from redis import Redis  # noqa: PLC0415  a process without one starts sooner

    # One try: whoever asks has another way, and no time.
    return Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=None)


def _named(key: str) -> str:
    return f"saga/{key}"
