"""How a step is answered later: its participant accepts the call with 202, and the answer comes in a callback."""

from dataclasses import dataclass

from machines.waiting import duration
from machines.words import word


@dataclass(frozen=True, kw_only=True)
class Later:
    """The wait for the answer to an accepted call. No thread waits: the database holds the end of the wait."""

    #: Longest wait for the answer, in seconds.
    for_s: float

    def __str__(self) -> str:
        return f"callback, {duration(self.for_s)} at most"


@word
def callback(*, within_s: float) -> Later:
    """Return the value of `later=`: the participant answers by a POST to the URL in the header Saga-Reply-To.

    within_s: longest wait for the answer, in seconds; after that the call is in doubt.
    """
    return Later(for_s=within_s)


def arrival_name(step: str) -> str:
    """Return the name under which the answer to a step is stored. No signal has such a name."""
    return f"reply:{step}"
