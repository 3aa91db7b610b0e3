"""A step that starts another saga, its child: the parent waits until the child has ended."""

from dataclasses import dataclass

from machines.call import Call


@dataclass(frozen=True, kw_only=True)
class Start(Call):
    """The start of a child saga, or its compensation. No request is sent: `participant` is the name of the saga.

    The body becomes the data of the child. `keeps` names fields of its replies, each as `step.field`.
    """


@dataclass(frozen=True, kw_only=True)
class ChildEnd:
    """What a parent waits for: the end of its child. No time ends this wait, except the parent's own deadline."""

    #: Name of the child's saga.
    saga: str
    #: Longest wait; None, because only the child ends it.
    for_s: None = None

    def __str__(self) -> str:
        return f"saga {self.saga}"


def start_of(saga: str, data: object, keeps: object) -> Start:
    """Return the start of a saga. check() refuses arguments of a wrong type."""
    return Start(method="START", participant=saga, path="", body=data, keeps=keeps)  # type: ignore[arg-type]


def compensation_of(saga: str) -> Start:
    """Return the compensation of a saga that `start_of` has started."""
    return Start(method="COMPENSATE", participant=saga, path="", body=None)
