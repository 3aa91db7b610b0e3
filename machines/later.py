"""How a step is answered after its participant has accepted the call with 202: by a callback, or by polls."""

from dataclasses import dataclass

from machines.call import Call
from machines.retry import Retry
from machines.waiting import duration
from machines.words import word

#: Growth of the wait from one poll to the next.
POLL_FACTOR = 1.5
#: The longest wait between two polls, as a multiple of every_s=, where the table does not name slowest_s=.
SLOWEST = 10


@dataclass(frozen=True, kw_only=True)
class Later:
    """The wait for the answer to an accepted call. No thread waits: the database holds the end of the wait."""

    #: Longest wait for the answer, in seconds.
    for_s: float
    #: Call that asks for the answer; None: the participant calls back.
    asks: Call | None = None
    #: Wait before the first poll, in seconds.
    every_s: float = 0.0
    #: Longest wait between two polls, in seconds; None: SLOWEST times `every_s`.
    slowest_s: float | None = None

    @property
    def waits(self) -> Retry:
        """The waits before the polls. A wait is random: from half of it to the whole."""
        slowest_s = self.every_s * SLOWEST if self.slowest_s is None else self.slowest_s
        return Retry(base_s=self.every_s, factor=POLL_FACTOR, cap_s=slowest_s)

    def __str__(self) -> str:
        how = "callback" if self.asks is None else f"poll every {duration(self.every_s)}"
        return f"{how}, {duration(self.for_s)} at most"


@word
def callback(*, within_s: float) -> Later:
    """Return the value of `later=`: the participant answers by a POST to the URL in the header Saga-Reply-To.

    within_s: longest wait for the answer, in seconds; after that the call is in doubt.
    """
    return Later(for_s=within_s)


@word
def poll(call: Call, /, *, every_s: float, within_s: float, slowest_s: float | None = None) -> Later:
    """Return the value of `later=`: the saga asks with a get() until the participant answers.

    call: refers to the reply with which the participant accepted the step, as `{step.id}`; a path of one reference
    alone, as `{step.url}`, is a whole URL. every_s: wait before the first poll, in seconds. Each further wait is half
    as long again, up to slowest_s (default: ten times every_s). within_s: longest wait for the answer, in seconds;
    after that the call is in doubt.
    """
    return Later(for_s=within_s, asks=call, every_s=every_s, slowest_s=slowest_s)


def arrival_name(step: str) -> str:
    """Return the name under which the answer to a step is stored. No signal has such a name."""
    return f"reply:{step}"
