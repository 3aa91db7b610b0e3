"""How many times, and after which waits, a call is sent again."""

from dataclasses import dataclass

from machines.words import WordClass


@dataclass(frozen=True, kw_only=True)
class Retry(metaclass=WordClass):
    """How many times, and after which waits, a call in doubt is sent again.

    The wait after attempt n is random, from 0 to min(cap_s, base_s * factor ** (n - 1)) seconds. By default there are
    3 retries, after at most 1, 2 and 4 s.
    """

    #: Most attempts: the first attempt and the retries.
    attempts: int = 4
    #: Longest wait after the first attempt, in seconds.
    base_s: float = 1.0
    #: Growth of the longest wait from one attempt to the next.
    factor: float = 2.0
    #: Longest wait after any attempt, in seconds.
    cap_s: float = 60.0

    @property
    def retries(self) -> int:
        """The most times that a call is sent again."""
        return self.attempts - 1

    def longest_wait_s(self, number: int) -> float:
        """Return the longest wait after attempt `number`, in seconds; the first attempt has the number 1."""
        return min(self.cap_s, self.base_s * self.factor ** min(number - 1, 63))


#: For calls that must succeed in the end (retriable steps, compensations): after some minutes a person decides.
PERSISTENT = Retry(attempts=10)
#: One attempt. For a participant that keeps no idempotency keys, because a second attempt could take effect twice. Only
#: a person sends such a call again: a process that takes the saga over does not, and no 503 with Retry-After causes it.
NEVER = Retry(attempts=1)
#: Wait between two tries to send a call that could not be sent; `attempts` is not used.
DEFERRED = Retry(base_s=0.5, cap_s=30.0)
