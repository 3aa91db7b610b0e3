"""A saga's table as it is written: plain columns, from which everything else is derived.

A legal table reads (read | compensatable)* pivot? (read | retriable)*: first the steps that can be undone, then the
point of no return, then the steps that must succeed in the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

from machines.call import Call
from machines.fields import Field
from machines.step import Step


@cache  # needed for each call
def participant_variable(participant: str) -> str:
    """Return the environment variable of a participant's URL: PARTICIPANT_PAY_SVC_URL for pay-svc."""
    return setting_variable(participant, "URL")


def setting_variable(participant: str, ending: str) -> str:
    """Return the environment variable of a participant's setting: PARTICIPANT_PAY_SVC_PROXY for pay-svc and PROXY.

    No other place turns a participant's name into a variable.
    """
    return f"PARTICIPANT_{participant.replace('-', '_').upper()}_{ending}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """One version of a saga."""

    #: Type of saga, the same in each version.
    name: str
    #: Version of the table, from 1. A running saga keeps the version that it started with.
    version: int
    #: Fields that the saga is started with, by name.
    data: Mapping[str, Field]
    #: Names of all participants that the steps call.
    participants: tuple[str, ...]
    #: State in which the saga begins.
    initial: str
    #: End state after success.
    completed: str
    #: End state after compensation.
    compensated: str
    #: Steps, in the order of execution.
    steps: tuple[Step, ...]
    #: Field of `data` with the customer, to search sagas by; None: no such search.
    client: str | None = None
    #: Field of `data` with the shop, to search sagas by; None: no such search.
    store: str | None = None
    #: Reference of the number by which people know the saga, such as the number of an order that a step created.
    order: str | None = None
    #: Fields of `data` whose values are indexed, so that lists of sagas can be filtered by them.
    tags: tuple[str, ...] = ()
    #: State → name of the event published when a saga enters the state.
    events: Mapping[str, str] = field(default_factory=dict)
    #: End → call that is sent after a saga has ended there, again and again until it is delivered. The saga's outcome
    #: does not depend on it.
    at_end: Mapping[str, Call] = field(default_factory=dict)
    #: Incoming event that starts a saga; its content is the saga's `data`. None: no event starts a saga.
    started_by: str | None = None
    #: Deadline, in seconds from the start of a saga. After it no further step forward is sent, and the saga is
    #: compensated. It does not stop a call in flight, a compensation or a step after the pivot.
    deadline_s: float = 900.0
    #: Due sagas of a higher priority are claimed first, from 0 to 9. A noisy table of a high priority needs `at_once=`.
    priority: int = 0
    #: Largest number of sagas of this table that one process claims to run at once. None: up to its threads.
    at_once: int | None = None
    #: Name of the saga in plain words, for the people who read its sagas; "": its name is shown alone.
    title: str = ""
    #: State → its name in plain words, for the same people.
    titles: Mapping[str, str] = field(default_factory=dict)

    #: True for the table of a branch, which is derived from a group of another table.
    is_branch: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"
