"""The four kinds of step, each with a constructor that takes its columns."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict, Unpack

from machines.call import Call


class Kind(StrEnum):
    READ = "read"
    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often, and how soon, a call whose outcome is in doubt is sent again.

    The wait after attempt n is random, from 0 to min(cap_s, base_s * factor ** (n - 1)) seconds. The defaults are
    those of the reference documents: 3 retries, after at most 1, 2 and 4 s.
    """

    #: The first call and its retries.
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

    def longest_wait_s(self, attempt: int) -> float:
        return min(self.cap_s, self.base_s * self.factor ** min(attempt - 1, 63))


#: For calls that must succeed in the end (retriable steps, compensations): some minutes, then a person decides.
PERSISTENT = Retry(attempts=10)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of the table as written. Each constructor takes the columns that its kind has."""

    #: Name, unique in the table; part of the idempotency key.
    name: str
    #: read, compensatable, pivot or retriable.
    kind: Kind
    #: Call that carries the step out.
    call: Call
    #: State after the step has succeeded.
    done: str
    #: State after a refusal; None where there is no way back.
    refused: str | None = None
    #: State in which the call is in flight; None: the state before the step.
    doing: str | None = None
    #: Call that compensates the step.
    undo: Call | None = None
    #: State in which `undo` is in flight.
    undoing: str | None = None
    #: Call that reads the outcome of an attempt in doubt; it answers as `call` would have, or with any failure.
    probe: Call | None = None
    #: Retries of the call.
    retry: Retry = Retry()
    #: Longest time for one attempt, in seconds.
    timeout_s: float = 5.0
    #: Longest expected stay in one of the step's states, in seconds; after that a person should look.
    dwell_s: float = 300.0


class More(TypedDict, total=False):
    """Columns that every kind of step may have."""

    doing: str
    retry: Retry
    timeout_s: float
    dwell_s: float


class Lasting(More, total=False):
    """Columns that only a step with an effect may have."""

    probe: Call


def read(name: str, call: Call, *, done: str, refused: str | None = None, **more: Unpack[More]) -> Step:
    """Return a step that changes nothing, so it may be repeated. After a pivot it has no `refused` state."""
    return Step(name=name, kind=Kind.READ, call=call, done=done, refused=refused, **more)


def compensatable(
    name: str, call: Call, *, undo: Call, done: str, refused: str, undoing: str = "", **more: Unpack[Lasting]
) -> Step:
    """Return a step whose effect `undo` takes back; `undoing` names the state in which the undo is in flight."""
    undoing = undoing or f"UNDOING_{str(name).upper()}"  # str: check() refuses a name that is no text
    return Step(
        name=name,
        kind=Kind.COMPENSATABLE,
        call=call,
        undo=undo,
        undoing=undoing,
        done=done,
        refused=refused,
        **more,
    )


def pivot(name: str, call: Call, *, done: str, refused: str, **more: Unpack[Lasting]) -> Step:
    """Return the point of no return: after its success the saga only goes forward."""
    return Step(name=name, kind=Kind.PIVOT, call=call, done=done, refused=refused, **more)


def retriable(name: str, call: Call, *, done: str, **more: Unpack[Lasting]) -> Step:
    """Return a step that must succeed in the end: it is retried until it succeeds or a person decides."""
    return Step(name=name, kind=Kind.RETRIABLE, call=call, done=done, **({"retry": PERSISTENT} | more))
