"""A world for one table's sagas: a database, participants, processes that come and go, and operators.

Everything happens in one thread. What others do in the meantime is done, as drawn, in the midst of a commit or a
call: whoever was in that commit or call then goes on with a saga that somebody else has moved.
"""

from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Engine as Database
from sqlalchemy import Row, Select, bindparam, delete, select, text, update

from app.errors import ConflictError, NotFoundError, StillRunningError
from app.store.database import in_seconds
from app.store.instance import Instance
from app.store.models import JournalRow, SagaRow
from app.store.sagas import FencedError
from app.telemetry import Telemetry
from machines.machine import parts
from machines.saga import Saga
from machines.transitions import Trigger
from tests.property.participant import Participant
from tests.property.process import CONFIG, Crash, Process

DATA = {"client_id": 4}
_SAGA, _JOURNAL = SagaRow.__table__, JournalRow.__table__
_ALL = select(_SAGA).order_by(text("rowid"))
_ONE = select(_SAGA).where(_SAGA.c.id == bindparam("saga_id"))
_MOVES = select(_JOURNAL).where(_JOURNAL.c.saga_id == bindparam("saga_id")).order_by(_JOURNAL.c.seq)


class Happening(StrEnum):
    """What may happen just before or after a commit or a sending."""

    NOTHING = "nothing"
    CRASH = "the process dies"
    TAKEN_OVER = "the lease runs out and another process runs the saga"
    CALLED_OFF = "an operator has it compensated"
    DELIVERED = "a delayed request arrives"
    TOO_LATE = "all deadlines run out"


@dataclass
class Simulation:
    """happenings: what happens at the next places. frozen: sagas as a process had them when it stopped moving.
    commits, claims: how many were made of each saga. broken: what was raised that should not be.
    """

    database: Database
    telemetry: Telemetry
    table: Saga
    participant: Participant = field(default_factory=Participant)
    happenings: deque[Happening] = field(default_factory=deque)
    frozen: list[Instance] = field(default_factory=list)
    commits: Counter[UUID] = field(default_factory=Counter)
    claims: Counter[UUID] = field(default_factory=Counter)
    broken: list[Exception] = field(default_factory=list)
    processes: int = 0
    now: float = 0.0

    def __post_init__(self) -> None:
        with self.database.begin() as connection:
            connection.execute(delete(_JOURNAL))
            connection.execute(delete(_SAGA))
        parts.cache_clear()  # or it would keep every random table

    def start(self, key: str | None, wait_s: float) -> None:
        service = self._process().service
        with suppress(Crash, StillRunningError):
            service.start(self.table.name, DATA, key, wait_s)

    def create(self, key: str | None) -> None:
        with suppress(Crash, StillRunningError):
            self._process().service.create(self.table.name, DATA, key)

    def recover(self) -> int:
        """Let all leases and waits run out, and a new process take what is due; return how many that were."""
        process = self._process()
        process.leases.expire_all()
        with suppress(Crash):
            return process.runner.claim_due()
        return 1

    def freeze(self) -> None:
        """Let a process claim a saga and then stop moving."""
        leases = self._process().leases
        leases.expire_all()
        self.frozen += leases.claim(1, CONFIG.lease_s)

    def thaw(self, which: int) -> None:
        """Let a process that stopped moving go on with what it knew."""
        saga = self.frozen.pop(which % len(self.frozen))
        with suppress(Crash):
            self._process().runner.submit(saga, hold_s=0)

    def pass_deadlines(self) -> None:
        """Let so much time pass that every deadline is over, for those who know it and for those who look it up."""
        self.now += 2 * self.table.deadline_s
        over = update(_SAGA).where(_SAGA.c.deadline_at.is_not(None)).values(deadline_at=in_seconds(-1))
        with self.database.begin() as connection:
            connection.execute(over)

    def operate(self, action: str, saga_id: UUID, **how: Any) -> None:
        """Have an operator `execute`, `retry` or `compensate` it; who is told of a conflict has changed nothing."""
        process = self._process()
        how |= {} if action == "execute" else {"actor": process.name, "reason": "drawn"}
        try:
            with suppress(Crash, NotFoundError):  # not found: it still reads, and is not stored
                getattr(process.service, action)(saga_id, **how)
        except ConflictError:
            assert process.name not in {move.actor for move in self.journal(saga_id)}, "a conflict moved something"

    def ask(self, saga_id: UUID, trigger: Trigger) -> None:
        """Have an operator ask for any move that the rows allow."""
        with suppress(Crash, FencedError):
            self._process().ask(saga_id, trigger)

    def happen(self, saga_id: UUID) -> None:
        """Let happen what is drawn for this place."""
        happening = self.happenings.popleft() if self.happenings else Happening.NOTHING
        deeds: dict[Happening, Callable[[], Any]] = {
            Happening.TAKEN_OVER: self.recover,
            Happening.CALLED_OFF: lambda: self.operate("compensate", saga_id),
            Happening.TOO_LATE: self.pass_deadlines,
            Happening.DELIVERED: lambda: self.participant.deliver(0),
        }
        if happening is Happening.CRASH:
            raise Crash
        if happening in deeds:
            deeds[happening]()

    def sagas(self) -> list[Row[Any]]:
        return self._rows(_ALL)

    def standing(self, saga_id: UUID) -> Row[Any] | None:
        return next(iter(self._rows(_ONE, saga_id)), None)

    def journal(self, saga_id: UUID) -> list[Row[Any]]:
        return self._rows(_MOVES, saga_id)

    def _rows(self, query: Select[Any], saga_id: UUID | None = None) -> list[Row[Any]]:
        with self.database.connect() as connection:
            return list(connection.execute(query, {"saga_id": saga_id} if saga_id else {}))

    def _process(self) -> Process:
        """Begin a process with an owner's name of its own."""
        self.processes += 1
        return Process(self, f"process-{self.processes}")
