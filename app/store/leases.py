"""Ownership of sagas: the list of processes that run sagas, and the leases by which they hold sagas.

Any process can claim a saga that is due. It then holds the saga until the lease ends.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Row, Select, Table, bindparam, delete, select, tuple_, update
from sqlalchemy import Engine as Database
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningUpdate

from app.errors import ProblemError
from app.store import releases
from app.store.citus import is_distributed
from app.store.data_keys import DataKeys
from app.store.database import DAY_S, Json, db_now, in_seconds
from app.store.instance import Instance
from app.store.loading import SAGA_COLUMNS, instance, journals
from app.store.models import UNFINISHED, SagaRow
from app.store.process_models import ReplicaRow
from app.store.processes import WEB, Processes, running_processes
from app.store.tables import table_is_known, without_table
from app.store.tenant_room import TenantRoom
from machines.registry import Registry
from machines.statuses import Status

_REPLICA: Table = ReplicaRow.__table__
#: Seconds without a heartbeat after which a process is deleted from the list.
FORGOTTEN_AFTER_S = 3600.0


class Replicas:
    """The list of processes that run sagas; this process writes its heartbeat to it.

    connections: the most database connections that this process opens. release: what it runs; "": not known.
    """

    def __init__(self, database: Database, owner: str, connections: int | None = None, release: str = "") -> None:
        self._database = database
        self._owner = owner
        self._release = release  # "" also when it is written down already
        insert = sqlite.insert if database.dialect.name == "sqlite" else postgresql.insert
        again = {"beat_at": db_now(), "participants": bindparam("report", type_=Json), "role": bindparam("role")}
        new = insert(_REPLICA).values(owner=owner, started_at=db_now(), connections=connections, **again)
        self._beat = new.on_conflict_do_update(index_elements=["owner"], set_=again)

    def beat(self, report: Mapping[str, Any] | None = None, role: str = WEB) -> None:
        """Write a heartbeat, which also proves that the database accepts writes.

        report: what this process sees of each participant.
        """
        if self._release:
            releases.begin(self._database, self._owner, self._release)
            self._release = ""
        with self._database.connect() as connection:
            connection.execute(self._beat, {"report": report or None, "role": role})

    def running(self) -> Processes:
        """Return the processes that run now, this one included after its first heartbeat."""
        with self._database.connect() as connection:
            return running_processes(connection)

    def forget_silent(self) -> None:
        """Delete the rows of processes that were killed: those without a heartbeat for FORGOTTEN_AFTER_S."""
        with self._database.connect() as connection:
            connection.execute(delete(_REPLICA).where(_REPLICA.c.beat_at < in_seconds(-FORGOTTEN_AFTER_S)))

    def leave(self) -> None:
        """Remove this process from the list."""
        with self._database.connect() as connection:
            connection.execute(delete(_REPLICA).where(_REPLICA.c.owner == self._owner))


_log = structlog.get_logger("store")
_SAGA = SagaRow.__table__
#: On a distributed database a claim reads this many times the sagas that it takes: other processes take some of them.
_SPARE = 4


def _of(names: tuple[str, ...] | None) -> tuple[ColumnElement[bool], ...]:
    return () if names is None else (_SAGA.c.definition.in_(names),)


def _locked(due: Select[Any]) -> Select[Any]:
    return due.with_for_update(skip_locked=True)


class Leases:
    """Claims and releases sagas; each call is in autocommit."""

    def __init__(
        self, database: Database, registry: Registry, owner: str, clock: Callable[[], float] = time.monotonic,
        keys: DataKeys | None = None,
    ) -> None:  # fmt: skip
        self._database, self._keys = database, keys or DataKeys(database)
        self._registry, self._owner, self._clock = registry, owner, clock
        #: The statement of a claim, by the names of the tables whose sagas it takes; None: of all tables.
        self._claims: dict[tuple[str, ...] | None, ReturningUpdate[Any]] = {}

    def claim(
        self, limit: int, lease_s: float, overdue_s: float = 0.0, names: Sequence[str] | None = None,
        tenants: TenantRoom | None = None,
    ) -> Sequence[Instance]:  # fmt: skip
        """Claim up to `limit` sagas that have been due for `overdue_s` seconds or longer, the longest due first.

        names: only sagas of these tables. tenants: no more sagas of each tenant than this; None: no limit. A claim sets
        a new epoch and a lease of `lease_s` seconds.
        """
        chosen = None if names is None else tuple(names)
        if is_distributed(self._database):
            return self._claim_each(chosen, limit, lease_s, overdue_s)
        values = {"most": limit, "lease_s": lease_s, "since_s": -overdue_s}
        if tenants is not None:
            due = self._due(*_of(chosen), tenants.is_open()).add_columns(_SAGA.c.tenant, _SAGA.c.due_at)
            return self._taken(self._take(_SAGA.c.id.in_(tenants.first_of_each(_locked(due)))), values)
        if chosen not in self._claims:  # built once, because building it takes as long as running it
            self._claims[chosen] = self._take_from(self._due(*_of(chosen)))
        return self._taken(self._claims[chosen], values)

    def claim_one(self, saga_id: UUID, lease_s: float) -> Instance | None:
        """Claim this saga; None when it is not due, or when another process claims it."""
        this = _SAGA.c.id == saga_id
        values = {"lease_s": lease_s, "since_s": 0.0}
        if is_distributed(self._database):
            taken = self._taken(self._take(this, *self._is_due()), values)
        else:
            taken = self._taken(self._take_from(self._due(this)), values | {"most": 1})
        return next(iter(taken), None)

    def release(self, held: Iterable[Instance]) -> None:
        """Make sagas of this process due at once, because it does not know whether their last commit succeeded."""
        mine = tuple_(_SAGA.c.id, _SAGA.c.epoch).in_([(saga.id, saga.epoch) for saga in held])
        self._make_due(mine, _SAGA.c.owner == self._owner)

    def uncount_claim(self, saga: Instance) -> None:
        """Subtract this process's claim from the count of a saga's claims, because the claim did not end in a crash.

        The count also shows that a call may have been sent. After the subtraction `unsure` shows this. Another process
        may have claimed or moved the saga since. A move sets the count to 0. Each later claim raises both the epoch and
        the count by one. So the count still includes this claim when it is larger than the rise of the epoch. Epoch and
        version stay the same, so no write of the new owner is fenced.
        """
        counted = _SAGA.c.claims > _SAGA.c.epoch - saga.epoch
        taken_back: dict[str, Any] = {"claims": _SAGA.c.claims - 1} | ({"unsure": True} if saga.called else {})
        with self._database.connect() as connection:
            connection.execute(update(_SAGA).where(_SAGA.c.id == saga.id, counted).values(taken_back))

    def expire_all(self) -> None:
        """Make every unfinished saga due. Call this only when no other process uses the database."""
        self._make_due()

    def old_drafts(self, days: int, limit: int) -> Sequence[UUID]:
        """Return the ids of sagas that were stored at least `days` days ago and never started, the oldest first.

        Leave out sagas that are to start later, and sagas whose table this process does not have.
        """
        old = select(_SAGA.c.id).where(
            UNFINISHED,  # the condition of the index on status and created_at
            _SAGA.c.status == Status.PENDING.value,
            _SAGA.c.due_at.is_(None),
            _SAGA.c.created_at < in_seconds(-days * DAY_S),
            table_is_known(self._registry),
        )
        with self._database.connect() as connection:
            return connection.scalars(old.order_by(_SAGA.c.created_at).limit(limit)).all()

    def unknown_definitions(self) -> Sequence[Row[Any]]:
        """Return name and version of each table that unfinished sagas use and that the registry lacks."""
        named = (_SAGA.c.definition, _SAGA.c.definition_version)
        with self._database.connect() as connection:
            return connection.execute(select(*named).where(without_table(self._registry)).distinct()).all()

    def _claim_each(
        self, names: tuple[str, ...] | None, limit: int, lease_s: float, overdue_s: float
    ) -> Sequence[Instance]:
        """Claim as `claim` does, one saga after the other, because Citus locks no rows of several shards together.

        Another process may read the same sagas. Each of them is claimed by the first of the two.
        """
        due = self._due(*_of(names))
        with self._database.connect() as connection:
            found = list(connection.scalars(due, {"most": limit * _SPARE, "since_s": -overdue_s}))
        each = (self.claim_one(saga_id, lease_s) for saga_id in found)
        return list(islice((saga for saga in each if saga is not None), limit))

    def _is_due(self) -> tuple[ColumnElement[bool], ...]:
        """Return the conditions for due sagas whose table this process has."""
        return _SAGA.c.due_at <= in_seconds(bindparam("since_s")), table_is_known(self._registry)

    def _due(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Select due sagas whose table this process has."""
        due = select(_SAGA.c.id).where(*self._is_due(), *conditions)
        return due.order_by(_SAGA.c.due_at).limit(bindparam("most"))

    def _take_from(self, due: Select[Any]) -> ReturningUpdate[Any]:
        """Claim those of the sagas that no other process is claiming now."""
        # A CTE, because PostgreSQL can run a plain subquery several times and would then lock more rows than the limit.
        batch = _locked(due).cte("due")
        return self._take(_SAGA.c.id.in_(select(batch.c.id)))

    def _take(self, *conditions: ColumnElement[bool]) -> ReturningUpdate[Any]:
        return (
            update(_SAGA)
            .where(*conditions)
            .values(
                owner=self._owner,
                epoch=_SAGA.c.epoch + 1,
                version=_SAGA.c.version + 1,
                claims=_SAGA.c.claims + 1,
                due_at=in_seconds(bindparam("lease_s")),
            )
            .returning(*SAGA_COLUMNS)
        )

    def _taken(self, claim: ReturningUpdate[Any], values: Mapping[str, float]) -> Sequence[Instance]:
        """Execute a claim with these values, and load the sagas that it took."""
        now = self._clock()
        with self._database.connect() as connection:
            rows = connection.execute(claim, values).all()
            journal = journals(connection, [row.id for row in rows]) if rows else {}
        taken = [saga for row in rows if (saga := self._loaded(row, journal[row.id], now))]
        for saga in taken:
            saga.lease_end = now + values["lease_s"]
        return taken

    def _loaded(self, row: Row[Any], journal: list[Row[Any]], now: float) -> Instance | None:
        """Return the saga; None if it cannot be loaded, so that the other sagas of the claim still run."""
        try:
            return instance(self._registry, row, journal, now, own_claims=1, keys=self._keys)
        except (ValueError, LookupError, ProblemError) as error:
            _log.error("saga.unreadable", saga_id=str(row.id), error=str(error))
            return None

    def _make_due(self, *conditions: ColumnElement[bool]) -> None:
        due = update(_SAGA).where(_SAGA.c.due_at.is_not(None), *conditions).values(due_at=db_now())
        with self._database.connect() as connection:
            connection.execute(due)
