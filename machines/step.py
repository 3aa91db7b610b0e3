"""The words a saga's steps are written in: four kinds of step, each with a constructor that takes its columns."""

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
    """How often and how fast a call with an unknown outcome is sent again. The wait after attempt n is drawn
    from 0 to min(cap_s, base_s * factor ** (n - 1)) seconds.

    attempts: the first call and its retries. The default is 002's: 3 retries, after 1, 2 and 4 s at the longest.
    """

    attempts: int = 4
    base_s: float = 1.0
    factor: float = 2.0
    cap_s: float = 60.0

    @property
    def retries(self) -> int:
        """How often a call is sent again at most."""
        return self.attempts - 1

    def longest_wait_s(self, attempt: int) -> float:
        return min(self.cap_s, self.base_s * self.factor ** min(attempt - 1, 63))


#: For what must succeed in the end (retriable steps and compensations): some minutes, then a person decides.
PERSISTENT = Retry(attempts=10)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One row of the table as written: see the constructors for the columns that each kind has.

    done, refused, doing, undoing: names of states. timeout_s: how long one attempt may take.
    probe: asks the participant what became of an attempt whose outcome is unknown; it answers as the call itself
    would have, or anything but a success. dwell_s: how long a saga may stay in one of its states before somebody
    should look at it.
    """

    name: str
    kind: Kind
    call: Call
    done: str
    refused: str | None = None
    doing: str | None = None
    undo: Call | None = None
    undoing: str | None = None
    probe: Call | None = None
    retry: Retry = Retry()
    timeout_s: float = 5.0
    dwell_s: float = 300.0


class More(TypedDict, total=False):
    """Columns that any kind of step may carry."""

    doing: str
    retry: Retry
    timeout_s: float
    dwell_s: float


class Lasting(More, total=False):
    """Columns that a step may carry which changes something."""

    probe: Call


def read(name: str, call: Call, *, done: str, refused: str | None = None, **more: Unpack[More]) -> Step:
    """Changes nothing, so it may be repeated. After a pivot it has no `refused`: there is no way back."""
    return Step(name=name, kind=Kind.READ, call=call, done=done, refused=refused, **more)


def compensatable(
    name: str, call: Call, *, undo: Call, done: str, refused: str, undoing: str = "", **more: Unpack[Lasting]
) -> Step:
    """Changes something that `undo` takes back; `undoing` names the state in which that call is in flight."""
    undoing = undoing or f"UNDOING_{str(name).upper()}"  # str: a name that is no text is for check() to refuse
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
    """The point of no return: once it has succeeded the saga only goes forward."""
    return Step(name=name, kind=Kind.PIVOT, call=call, done=done, refused=refused, **more)


def retriable(name: str, call: Call, *, done: str, **more: Unpack[Lasting]) -> Step:
    """Must succeed in the end: it is sent again until it does, or until a person decides."""
    return Step(name=name, kind=Kind.RETRIABLE, call=call, done=done, **({"retry": PERSISTENT} | more))
