"""The sagas of one family, with everything that acts on them.

Time passes only in `pass_time` and `pass_deadlines`, and no saga that waits for its children is made due by
`pass_time`. So a wake-up that is lost stays lost, and the properties see it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, update

from app.errors import InvalidError
from app.store.database import db_now
from app.store.models import JournalRow, SagaRow
from machines.loop import IncompleteReplyError
from machines.registry import Registry
from machines.saga import Saga
from machines.transitions import State, Trigger
from tests.property.process import CONFIG, Crash
from tests.property.shapes import DATA, Family, Nodes
from tests.property.tables import StepLine
from tests.property.world import Incident, Simulation

_SAGA, _JOURNAL = SagaRow.__table__, JournalRow.__table__
_DUE_NOW = update(_SAGA).values(due_at=db_now())
#: A saga is due when it is due before this time is over. It is shorter than every wait.
_SOON = timedelta(seconds=10)


class FamilyIncident(StrEnum):
    """An event just before or after a commit or a sending of a saga of the family."""

    OTHERS_RUN = "another process runs what is due"
    OTHER_FREEZES = "another process claims what is due, and freezes"
    OTHER_THAWS = "a frozen process goes on"
    PARENTS_LOOK = "a quarter of an hour is over, after which every parent looks at its children"
    ALL_CALLED_OFF = "an operator has the whole family compensated"


@dataclass
class FamilySimulation(Simulation):
    """The sagas of one family."""

    lines: Sequence[StepLine] = ()
    nodes: Nodes = ()
    family: Family = field(init=False)
    #: So long that no wait is over by itself while an example runs.
    jitter_s: float = 300.0

    def _tables(self) -> tuple[Saga, Registry, Mapping[str, Any]]:
        self.family = Family(self.nodes)
        return self.family.table, self.family.registry, DATA

    def state_of(self, saga: Row[Any]) -> State:
        return self.registry.of(saga).states[saga.state]

    def sagas(self) -> list[Row[Any]]:
        """Return all sagas, each parent before its children. Their ids ascend, see conftest.py."""
        with self.database.connect() as connection:
            return list(connection.execute(_SAGA.select().order_by(_SAGA.c.id)))

    def journals(self) -> dict[UUID, list[Row[Any]]]:
        found: dict[UUID, list[Row[Any]]] = {}
        with self.database.connect() as connection:
            for move in connection.execute(_JOURNAL.select().order_by(_JOURNAL.c.saga_id, _JOURNAL.c.seq)):
                found.setdefault(move.saga_id, []).append(move)
        return found

    def run_due(self) -> int:
        """Let a new process claim due sagas. Return the number of claimed sagas."""
        with self.database.begin() as connection:  # in the order of their ids, and not in that of their due times
            connection.execute(_DUE_NOW.where(_SAGA.c.due_at <= db_now()))
        with suppress(Crash):
            return self._process().runner.claim_due()
        return 1

    def recover(self) -> int:
        self.pass_time()
        return self.run_due()

    def pass_time(self) -> None:
        """End all leases, and all waits before the next attempt of a call. A wait for children goes on."""
        over = [
            saga.id
            for saga in self.sagas()
            if saga.due_at is not None and (saga.owner is not None or not self.state_of(saga).awaits_child)
        ]
        with self.database.begin() as connection:
            connection.execute(_DUE_NOW.where(_SAGA.c.id.in_(over)))

    def pass_deadlines(self) -> None:
        """Move the clock beyond every deadline. Every saga is due by then, because no wait outlasts the deadline."""
        super().pass_deadlines()
        self.look()

    def look(self) -> None:
        """End every wait, also those for children, and all leases."""
        with self.database.begin() as connection:
            connection.execute(_DUE_NOW.where(_SAGA.c.due_at.is_not(None)))

    def parents(self) -> list[UUID]:
        """Return the sagas that wait for children, and that no process holds."""
        waiting = [saga for saga in self.sagas() if saga.due_at is not None and saga.owner is None]
        return [saga.id for saga in waiting if self.state_of(saga).awaits_child]

    def look_alone(self, parent: UUID) -> None:
        """Let a new process claim this parent, whether or not it is due, and run it."""
        with self.database.begin() as connection:
            connection.execute(_DUE_NOW.where(_SAGA.c.id == parent))
        process = self._process()
        saga = process.leases.claim_one(parent, CONFIG.lease_s)
        with suppress(Crash):
            if saga is not None:
                process.runner.submit(saga, max_sleep_s=0)

    def freeze(self) -> None:
        self.frozen += self._process().leases.claim(1, CONFIG.lease_s)

    def ask(self, saga_id: UUID, trigger: Trigger) -> None:
        # A group whose results later steps use is not resolved by hand.
        with suppress(IncompleteReplyError, InvalidError):
            super().ask(saga_id, trigger)

    def deeds(self, saga_id: UUID) -> dict[StrEnum, Callable[[], Any]]:
        return super().deeds(saga_id) | {
            FamilyIncident.OTHERS_RUN: self.run_due,
            FamilyIncident.OTHER_FREEZES: self.freeze,
            FamilyIncident.OTHER_THAWS: lambda: self.thaw(0) if self.frozen else None,
            FamilyIncident.PARENTS_LOOK: self.look,
            FamilyIncident.ALL_CALLED_OFF: self._call_off,
        }

    def _call_off(self) -> None:
        for saga in self.sagas()[:1]:
            self.operate("compensate", saga.id)

    def is_due(self, saga: Row[Any]) -> bool:
        return saga.due_at is not None and saga.due_at < datetime.now(UTC) + _SOON


INCIDENTS = [
    *(each for each in Incident if each not in (Incident.NOTHING, Incident.SIGNALLED, Incident.WAITS_OVER)),
    *[FamilyIncident.OTHERS_RUN] * 4,
    *FamilyIncident,
]
