"""A saga's table as it is written: plain columns, from which everything else follows.

A legal table reads (read | compensatable)* pivot? (read | retriable)*: what can be undone, then the point of no
return, then what must succeed in the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from machines.fields import Field
from machines.step import Step


@cache  # asked for each call
def participant_variable(participant: str) -> str:
    """Return the environment variable that says where the participant is: PARTICIPANT_PAY_SVC_URL for pay-svc.

    This is the one place where a participant's name becomes a variable.
    """
    return f"PARTICIPANT_{participant.replace('-', '_').upper()}_URL"


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """One version of a saga.

    data: the fields it is started with. participants: every service that a step may call.
    initial, completed, compensated: the states it begins and may end in.
    client, store: the fields of `data` that say whose saga it is, so that one can look for it.
    order: the reference by which people know what came of it, such as the number of the order that a step created.
    events: what others are told when a saga enters a state: the event's name by the state's.
    started_by: the event of others that begins a saga, with `data` as what it brings.
    deadline_s: how long after its beginning a step forward may still be sent; then it is undone. It binds neither a
    call in flight, nor a compensation, nor what comes after the pivot.
    """

    name: str
    version: int
    data: Mapping[str, Field]
    participants: tuple[str, ...]
    initial: str
    completed: str
    compensated: str
    steps: tuple[Step, ...]
    client: str | None = None
    store: str | None = None
    order: str | None = None
    events: Mapping[str, str] = field(default_factory=dict)
    started_by: str | None = None
    deadline_s: float = 900.0

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"
