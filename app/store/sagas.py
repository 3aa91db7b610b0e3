"""Writing sagas: one commit is one statement, and it names the epoch and version it was thought out on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine, Row, bindparam, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from app.store.database import in_seconds
from app.store.instance import Instance, Standing
from app.store.models import JournalRow, SagaRow
from machines.registry import Registry
from machines.rows import Trigger

_log = structlog.get_logger("store")
_SAGA, _JOURNAL = SagaRow.__table__, JournalRow.__table__

_MOVED = {
    "state": bindparam("new_state"),
    "status": bindparam("new_status"),
    "attempt": bindparam("new_attempt"),
    "deferrals": bindparam("new_deferrals"),
    "error": bindparam("new_error"),
    "owner": bindparam("new_owner"),
    "due_at": in_seconds(bindparam("delay_s")),
    "updated_at": in_seconds(0),
    "moves": bindparam("new_moves", type_=_SAGA.c.moves.type),
}
_INSERT = insert(_SAGA).values(
    **_MOVED,
    id=bindparam("saga_id"),
    definition=bindparam("name"),
    definition_version=bindparam("name_version"),
    data=bindparam("new_data", type_=_SAGA.c.data.type),
    client=bindparam("new_client"),
    store=bindparam("new_store"),
    idempotency_key=bindparam("key"),
    fingerprint=bindparam("new_fingerprint"),
    epoch=1,
    version=1,
    created_at=in_seconds(0),
)
_SAVE = (
    update(_SAGA)
    .where(
        _SAGA.c.id == bindparam("saga_id"),
        _SAGA.c.epoch == bindparam("known_epoch"),
        _SAGA.c.version == bindparam("known_version"),
    )
    .values(**_MOVED, version=_SAGA.c.version + 1)
)


class FencedError(Exception):
    """Somebody else owns the saga now: what this process knows of it is out of date and must be forgotten."""


class KeyTakenError(Exception):
    """The Idempotency-Key already belongs to a saga."""


class SagaStore:
    """The engine's own path to the database, in autocommit: every call is one statement and durable on return."""

    def __init__(self, engine: Engine, registry: Registry, owner: str) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._registry = registry
        self._owner = owner

    def insert(self, saga: Instance, delay_s: float | None, key: str | None = None, fingerprint: str = "") -> None:
        """Make a new saga durable; another process may take it after `delay_s`. Raises KeyTakenError."""
        definition = saga.definition
        values = self._moved(saga, delay_s) | {
            "name": definition.name,
            "name_version": definition.version,
            "new_data": saga.data,
            "new_client": None if definition.client is None else str(saga.data[definition.client]),
            "new_store": None if definition.store is None else str(saga.data[definition.store]),
            "key": key,
            "new_fingerprint": fingerprint,
        }
        try:
            with self._engine.connect() as connection:
                connection.execute(_INSERT, values)
        except IntegrityError as error:
            if key is None:
                raise
            raise KeyTakenError(key) from error
        saga.committed()

    def save(self, saga: Instance, delay_s: float | None) -> None:
        """Commit what the saga has moved since the last commit. Raises FencedError, and then nothing is written."""
        values = self._moved(saga, delay_s) | {"known_epoch": saga.epoch, "known_version": saga.version}
        with self._engine.connect() as connection:
            if connection.execute(_SAVE, values).rowcount != 1:
                raise FencedError(saga.id)
        saga.committed()

    def _moved(self, saga: Instance, delay_s: float | None) -> dict[str, Any]:
        return {
            "saga_id": saga.id,
            "new_state": saga.state,
            "new_status": saga.status,
            "new_attempt": saga.attempt,
            "new_deferrals": saga.deferrals,
            "new_error": saga.error,
            "new_owner": None if delay_s is None else self._owner,
            "delay_s": delay_s,
            "new_moves": [asdict(move) for move in saga.unsaved],
        }

    def end_leases(self) -> None:
        """Make every unfinished saga due, for a process that knows itself to be the only one."""
        with self._engine.connect() as connection:
            connection.execute(update(_SAGA).where(_SAGA.c.due_at.is_not(None)).values(due_at=in_seconds(0)))

    def claim(self, limit: int, lease_s: float) -> Sequence[Instance]:
        """Take up to `limit` sagas that are due, the longest due first, each with a new epoch.

        Sagas of a definition that is not at hand are left alone.
        """
        known = tuple_(_SAGA.c.definition, _SAGA.c.definition_version)
        due = select(_SAGA.c.id).where(
            _SAGA.c.due_at <= in_seconds(0),
            known.in_([(definition.name, definition.version) for definition in self._registry]),
        )
        # A CTE, for PostgreSQL may run a plain subquery more than once and then lock more than the limit.
        batch = due.order_by(_SAGA.c.due_at).limit(limit).with_for_update(skip_locked=True).cte("due")
        take = (
            update(_SAGA)
            .where(_SAGA.c.id.in_(select(batch.c.id)))
            .values(
                owner=self._owner,
                epoch=_SAGA.c.epoch + 1,
                version=_SAGA.c.version + 1,
                due_at=in_seconds(lease_s),
            )
            .returning(_SAGA)
        )
        with self._engine.connect() as connection:
            taken = connection.execute(take).all()
            journal = self._journal(connection, [row.id for row in taken]) if taken else {}
        return [saga for row in taken if (saga := self._readable(row, journal[row.id]))]

    def _readable(self, row: Row[Any], journal: list[Row[Any]]) -> Instance | None:
        """One saga that cannot be read, for its table was changed under it, must not keep the others waiting."""
        try:
            return self._instance(row, journal)
        except ValueError as error:
            _log.error("saga.unreadable", saga_id=str(row.id), error=str(error))
            return None

    def _journal(self, connection: Any, saga_ids: Iterable[UUID]) -> Mapping[UUID, list[Row[Any]]]:
        entries: dict[UUID, list[Row[Any]]] = {saga_id: [] for saga_id in saga_ids}
        rows = select(_JOURNAL).where(_JOURNAL.c.saga_id.in_(entries)).order_by(_JOURNAL.c.saga_id, _JOURNAL.c.seq)
        for entry in connection.execute(rows):
            entries[entry.saga_id].append(entry)
        return entries

    def _instance(self, row: Row[Any], journal: list[Row[Any]]) -> Instance:
        saga = Instance(self._registry.get(row.definition, row.definition_version), row.id, row.data, row.state)
        saga.epoch, saga.version = row.epoch, row.version
        saga.attempt, saga.deferrals, saga.error = row.attempt, row.deferrals, row.error
        saga.standing = Standing(id=row.id, state=row.state, status=row.status, error=row.error)
        saga.pending = row.status == "pending"
        saga.next_seq = journal[-1].seq + 1
        done = [entry for entry in journal if entry.trigger == Trigger.SUCCEEDED and entry.direction == "do"]
        saga.results = {entry.step: entry.reply for entry in done}
        saga.unsure = True  # the call in flight may have been sent by whoever had the saga before
        return saga

    def read(self, saga_id: UUID) -> Instance | None:
        """Give the saga as it stands. Whoever moves it and commits first has it; others are fenced."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_SAGA).where(_SAGA.c.id == saga_id)).one_or_none()
            return self._instance(row, self._journal(connection, [saga_id])[saga_id]) if row else None

    def find_key(self, key: str) -> Row[Any] | None:
        """Look up the saga that an Idempotency-Key belongs to."""
        with self._engine.connect() as connection:
            return connection.execute(select(_SAGA).where(_SAGA.c.idempotency_key == key)).one_or_none()
