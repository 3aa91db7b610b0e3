"""What an API key is limited to beyond its scopes: the networks that it is used from, and its number of requests."""

import ipaddress
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.errors import BusyError, InvalidError
from app.networks import Network
from app.shared_cache import SharedCache

#: Largest number of networks of one key. Each request of the key is compared with all of them.
MOST_NETWORKS = 50
_RATE = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")
_WINDOWS_S = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Largest number of requests of a key in each window of time."""

    requests: int
    window_s: int

    @classmethod
    def of(cls, text: str) -> "Rate":
        """Return the rate that a text such as `100/minute` names. Raise InvalidError for another text."""
        found = _RATE.fullmatch(text)
        if found is None:
            raise InvalidError(("/rate_limit", "Give a limit such as 10/second or 1000/hour, or nothing."))
        return cls(requests=int(found[1]), window_s=_WINDOWS_S[found[2]])


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that texts such as `10.1.0.0/16` or `2001:db8::/48` name. An address is a network of one.

    Raise InvalidError for another text, and for too many networks.
    """
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            raise InvalidError(("/networks", "Give networks such as 10.1.0.0/16 or 2001:db8::/48.")) from None
    if len(found) > MOST_NETWORKS:
        raise InvalidError(("/networks", f"Give at most {MOST_NETWORKS}."))
    return tuple(found)


class Requests:
    """Counts the requests of each key that has a rate.

    They are counted in Redis, for all processes together. Without Redis, each process counts its own requests.
    """

    def __init__(self, shared_cache: SharedCache, clock: Callable[[], float] = time.time) -> None:
        self._shared_cache, self._clock = shared_cache, clock
        self._counted: dict[str, tuple[int, int]] = {}

    def count(self, prefix: str, rate: Rate) -> None:
        """Count a request of a key. Raise BusyError, with the time until the next window, for one too many."""
        now = self._clock()
        window = int(now // rate.window_s)
        number = self._shared_cache.count(f"requests/{prefix}/{window}", rate.window_s)
        if number is None:
            number = self._count_here(prefix, window)
        if number > rate.requests:
            left_s = int((window + 1) * rate.window_s - now) + 1
            raise BusyError(
                f"this API key may send {rate.requests} requests in {rate.window_s} s; try again in {left_s} s",
                retry_after_s=left_s,
            )

    def _count_here(self, prefix: str, window: int) -> int:
        """Count a request in the memory of this process. Two requests at the same moment may count as one."""
        last, number = self._counted.get(prefix, (window, 0))
        number = number + 1 if last == window else 1
        self._counted[prefix] = window, number
        return number
