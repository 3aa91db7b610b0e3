"""What is stored of one saga in memory: its row, its journal and its signals; and a clock that only the test moves."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any
from uuid import UUID

from machines.attempts import Attempts, filled, understood
from machines.call import Call
from machines.outcomes import Outcome
from machines.references import FillError
from machines.replies import Reply
from machines.restoring import restore, restored_in_doubt, stored_in_doubt
from machines.running import Move, RunningSaga
from machines.saga import Saga
from machines.transitions import NOWHERE, Direction

#: The id of every saga in memory, so that a test sees the same keys in each run.
SAGA_ID = UUID("11111111-2222-4333-8444-555555555555")
#: Most claims of a saga without a move, as the setting MAX_CLAIMS has it by default.
MAX_CLAIMS = 10
ACTOR = "engine"


@dataclass(kw_only=True)
class Request:
    """One request to a participant."""

    #: Name of the step.
    step: str
    #: do, undo, probe or poll.
    purpose: str
    call: Call
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(kw_only=True)
class Row:
    """The stored row of a saga, with the columns that `machines.restoring` reads."""

    state: str
    status: str
    unsure: bool
    claims: int
    attempt: int
    deferrals: int
    error: str | None
    arrived: int = 0
    deadline: float = inf
    entered: float = 0.0
    #: When the saga is due; None: it has ended or needs a person.
    due_at: float | None = None
    #: True: the lease of a process has not ended.
    held: bool = False
    #: True: the parent of this child goes back.
    goes_back: bool = False


@dataclass(kw_only=True)
class Arrived:
    """A signal or an answer that has arrived."""

    body: Mapping[str, Any]
    sender: str


@dataclass(kw_only=True)
class Clock:
    """The time of every process and of the store, in seconds."""

    time: float = 0.0
    #: The moment at which the test begins.
    began: dt.datetime = field(default_factory=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC))

    def __call__(self) -> float:
        return self.time

    def seconds_until(self, moment: dt.datetime) -> float:
        return (moment - self.began).total_seconds() - self.time


@dataclass(kw_only=True)
class Memory:
    """What is stored of one saga."""

    definition: Saga
    data: Mapping[str, Any]
    clock: Clock = field(default_factory=Clock)
    saga_id: UUID = SAGA_ID
    #: Its parent, the step of its parent, and its number among the children of this step.
    parent_id: UUID | None = None
    parent_step: str | None = None
    child_number: int = 0
    row: Row | None = None
    journal: list[Move] = field(default_factory=list)
    #: Name → the signal or answer that has arrived.
    arrivals: dict[str, Arrived] = field(default_factory=dict)
    #: How many times the end of a child has woken this saga.
    woken: int = 0

    def new(self) -> RunningSaga:
        saga = self._saga(NOWHERE)
        saga.create(actor=ACTOR if self.parent_id is None else f"saga:{self.parent_id}")
        return saga

    def save(self, saga: RunningSaga, due_at: float | None, *, held: bool) -> None:
        """Store a saga and its moves in one commit. held: the process keeps the saga."""
        if self.row is None:
            saga.deadline = self.clock() + self.definition.deadline_s
        arrived = len(self.arrivals) + self.woken
        self.row = Row(
            state=saga.state, status=saga.status, unsure=stored_in_doubt(saga, held=held),
            claims=saga.claims if held else 0, attempt=saga.failed_attempts, deferrals=saga.deferrals,
            error=saga.error, arrived=arrived, deadline=saga.deadline, entered=max(saga.entered, 0.0), due_at=due_at,
            goes_back=saga.goes_back,
        )  # fmt: skip
        self.journal += saga.unsaved
        saga.unsaved, saga.arrived, saga.missing_children = [], arrived, None

    def load(self, own_claims: int = 0) -> RunningSaga:
        """Return the stored saga. own_claims: claims of the process that reads it."""
        row = self.row
        assert row is not None
        in_doubt = restored_in_doubt(self.definition.states[row.state], row, own_claims)
        saga = self._saga(row.state, in_doubt=in_doubt)
        restore(saga, row, self.journal)
        saga.deadline, saga.entered, saga.goes_back = row.deadline, row.entered, row.goes_back
        return saga

    def claim(self) -> RunningSaga:
        """Claim the saga for a process, and return it."""
        assert self.row is not None
        self.row.claims += 1
        self.row.held = False
        return self.load(own_claims=1)

    def _saga(self, state: str, *, in_doubt: bool = False) -> RunningSaga:
        saga = RunningSaga(self.definition, self.saga_id, self.data, state, self.clock, in_doubt=in_doubt)
        saga.parent_id, saga.parent_step, saga.child_number = self.parent_id, self.parent_step, self.child_number
        return saga


class MemoryAttempts(Attempts):
    """Calls that a function answers."""

    def __init__(self, answer: Callable[[RunningSaga, Request], Reply]) -> None:
        self._answer = answer

    def _send(self, saga: RunningSaga, call: Call, direction: Direction | None = None) -> tuple[Reply, Outcome]:
        at = saga.current
        assert at.step is not None
        direction = direction or at.direction
        try:
            path, headers, body = filled(saga, call, direction, {}, _reply_to)
        except FillError as error:
            return understood(saga, call, direction, Reply(error=str(error), sent=False, impossible=True))
        purpose = "probe" if call is at.step.probe else "poll" if call is at.poll else str(direction)
        request = Request(step=at.step.name, purpose=purpose, call=call, path=path, headers=headers, body=body)
        return understood(saga, call, direction, self._answer(saga, request))


def _reply_to(_saga_id: UUID, step: str) -> str:
    return f"https://saga.example/replies/{step}"
