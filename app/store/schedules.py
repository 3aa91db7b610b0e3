"""The stored schedules. A change by a person is committed in one transaction with its audit row.

The secret values of the data are sealed like those of a saga, see app.store.data_keys. The client stays in clear, so
that an erasure finds the schedules of a client.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy import Engine as Database
from sqlalchemy.exc import IntegrityError

from app.errors import ConflictError, NotFoundError
from app.store.audit import Entry, append
from app.store.data_keys import DataKeys, ErasedError, Sealer, bound_id
from app.store.database import db_now
from app.store.models import SagaRow
from app.store.process_models import ScheduleRow
from app.store.tenants import acting_tenant
from app.store.transactions import atomic
from machines.registry import Registry
from machines.statuses import FINISHED

_SCHEDULE, _SAGA = ScheduleRow.__table__, SagaRow.__table__
#: Largest number of schedules that one pass starts, because the same thread also claims due sagas.
PASS_LIMIT = 50
#: Largest number of schedules of an installation. An installation that needs more should start sagas by a program.
MOST_SCHEDULES = 1_000


class OvertakenError(Exception):
    """Another process, or a person, has changed the schedule since it was read."""


class ScheduleStore:
    """Reads and writes schedules. registry: says which values of the data are secret."""

    def __init__(self, database: Database, registry: Registry, keys: DataKeys | None = None) -> None:
        self._database, self._registry, self._keys = database, registry, keys or DataKeys(database)

    def now(self) -> datetime:
        """Return the time on the database's clock."""
        with self._database.connect() as connection:
            found: datetime = connection.execute(select(db_now())).scalar_one()
            return found

    def all(self) -> Sequence[Row[Any]]:
        with self._database.connect() as connection:
            return connection.execute(select(_SCHEDULE).order_by(_SCHEDULE.c.name)).all()

    def find(self, name: str) -> Row[Any]:
        """Return a schedule. Raise NotFoundError."""
        with self._database.connect() as connection:
            return _found(connection, name)

    def due(self, now: datetime, definitions: Iterable[str]) -> Sequence[Row[Any]]:
        """Return the schedules whose time has come, the longest due first. definitions: those of this release."""
        due = select(_SCHEDULE).where(_SCHEDULE.c.next_at <= now, _SCHEDULE.c.definition.in_(list(definitions)))
        with self._database.connect() as connection:
            return connection.execute(due.order_by(_SCHEDULE.c.next_at).limit(PASS_LIMIT)).all()

    def add(self, values: Mapping[str, Any], entry: Entry) -> None:
        """Store a new schedule, of the tenant for which this thread acts. Raise ConflictError when its name is taken.

        Names are unique in the installation, because the keys and the audit rows of schedules have them.
        """
        tenant = acting_tenant()
        try:
            with atomic(self._database) as connection:
                stored = self._stored(connection, values["name"], values["definition"], tenant, values)
                new = insert(_SCHEDULE).values(
                    **stored, version=1, created_at=db_now(), created_by=entry.actor, tenant=tenant
                )
                if len(connection.execute(select(_SCHEDULE.c.name)).all()) >= MOST_SCHEDULES:
                    raise ConflictError(f"there are {MOST_SCHEDULES} schedules already; remove one first")
                connection.execute(new)
                append(connection, entry)
        except IntegrityError:
            raise ConflictError(f"there is a schedule {values['name']} already; remove it first") from None

    def remove(self, name: str, entry: Entry) -> None:
        """Remove a schedule. The sagas that it has started stay. Raise NotFoundError."""
        with atomic(self._database) as connection:
            _found(connection, name, lock=True)
            connection.execute(delete(_SCHEDULE).where(_SCHEDULE.c.name == name))
            append(connection, entry)

    def set_next(self, name: str, next_at: datetime | None, entry: Entry) -> None:
        """Resume a schedule at `next_at`, or pause it when that is None.

        Raise NotFoundError, or ConflictError when the schedule is resumed or paused already.
        """
        with atomic(self._database) as connection:
            before = _found(connection, name, lock=True)
            if (before.next_at is None) == (next_at is None):
                raise ConflictError(
                    f"the schedule {name} {'is paused already' if next_at is None else 'is not paused'}"
                )
            changed = {"next_at": next_at, "version": _SCHEDULE.c.version + 1}
            connection.execute(update(_SCHEDULE).where(_SCHEDULE.c.name == name).values(**changed))
            append(connection, entry)

    def change(
        self, name: str, values: Mapping[str, Any], next_of: Callable[[Row[Any]], datetime | None],
        entry_of: Callable[[Row[Any]], Entry],
    ) -> None:  # fmt: skip
        """Change columns of a schedule. Raise NotFoundError.

        next_of, entry_of: return the next time and the audit row; their argument is the schedule before the change,
        which is locked.
        """
        with atomic(self._database) as connection:
            before = _found(connection, name, lock=True)
            stored = self._stored(connection, name, before.definition, before.tenant, values)
            changed = {**stored, "next_at": next_of(before), "version": _SCHEDULE.c.version + 1}
            connection.execute(update(_SCHEDULE).where(_SCHEDULE.c.name == name).values(**changed))
            append(connection, entry_of(before))

    def data_of(self, row: Row[Any]) -> Any:
        """Return the data of a schedule with its sealed values opened. Raise ConflictError, or KeyLostError."""
        try:
            return self._keys.opened(row.data, _bound_to(row.name), reread=True)
        except ErasedError:
            raise ConflictError("the personal data of its client were erased; change its data, or remove it") from None

    def _stored(
        self, connection: Connection, name: str, definition: str, tenant: str | None, values: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return the columns of a schedule with the secret values of its data sealed."""
        secrets = self._registry.secrets_of(definition) if "data" in values and self._keys.encrypts else None
        if secrets is None:
            return values
        data, field = values["data"], self._registry.latest(definition).client
        clear = {field: data[field]} if field in data else {}
        client = str(data[field]) if clear else None
        sealer = Sealer(self._keys.provide(connection, tenant, client), _bound_to(name), secrets)
        return {**values, "data": sealer.data(data) | clear}

    def advance(self, row: Row[Any], next_at: datetime, result: str, saga_id: UUID | None) -> None:
        """Set the next time of a schedule that was due, in a new transaction.

        The arguments are those of `advance_within`.
        """
        with atomic(self._database) as connection:
            self.advance_within(connection, row, next_at, result, saga_id)

    @staticmethod
    def advance_within(
        connection: Connection, row: Row[Any], next_at: datetime, result: str, saga_id: UUID | None
    ) -> None:
        """Set the next time of a schedule that was due, and record the result of the due time.

        Raise OvertakenError, with nothing changed, when the schedule has changed since it was read. saga_id: the
        started saga; None: none was started.
        """
        same = (_SCHEDULE.c.name == row.name, _SCHEDULE.c.version == row.version)
        values = {
            "next_at": next_at, "version": _SCHEDULE.c.version + 1, "last_at": row.next_at, "last_result": result,
            "last_saga_id": saga_id or row.last_saga_id,
        }  # fmt: skip
        if connection.execute(update(_SCHEDULE).where(*same).values(values)).rowcount != 1:
            raise OvertakenError(row.name)

    def unfinished(self, saga_id: UUID | None) -> bool:
        """Return True when a saga exists and has not ended."""
        if saga_id is None:
            return False
        with self._database.connect() as connection:
            query = select(_SAGA.c.status).where(_SAGA.c.id == saga_id)
            status = connection.execute(query).scalar_one_or_none()
        return status is not None and status not in FINISHED


def _bound_to(name: str) -> UUID:
    return bound_id("schedule", name)


def _found(connection: Connection, name: str, *, lock: bool = False) -> Row[Any]:
    query = select(_SCHEDULE).where(_SCHEDULE.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no schedule {name}")
    return row
