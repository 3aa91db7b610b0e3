"""Writing sagas: one commit is one statement, and it names the epoch and version it was thought out on."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from math import inf
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, and_, bindparam, case, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.store.atomic import atomic
from app.store.audit import Entry, append
from app.store.database import in_seconds
from app.store.instance import Instance
from app.store.loading import STANDS, instance, journals
from app.store.models import SagaRow
from machines.registry import Registry

_SAGA = SagaRow.__table__

_DEADLINE = in_seconds(bindparam("deadline_s"))
_MOVED = {
    "state": bindparam("new_state"),
    "status": bindparam("new_status"),
    "attempt": bindparam("new_attempt"),
    "deferrals": bindparam("new_deferrals"),
    "error": bindparam("new_error"),
    "owner": bindparam("new_owner"),
    "claims": bindparam("new_claims"),
    "unsure": bindparam("new_unsure"),
    "order_ref": bindparam("new_order"),
    "due_at": in_seconds(bindparam("delay_s")),
    "updated_at": in_seconds(0),
    "moves": bindparam("new_moves", type_=_SAGA.c.moves.type),
}
#: One that was pending is in its state only since it began.
_STAYS = and_(_SAGA.c.state == bindparam("new_state"), _SAGA.c.status == bindparam("new_status"))
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
    deadline_at=_DEADLINE,
    created_at=in_seconds(0),
    entered_at=in_seconds(0),
)
_SAVE = (
    update(_SAGA)
    .where(
        _SAGA.c.id == bindparam("saga_id"),
        _SAGA.c.epoch == bindparam("known_epoch"),
        _SAGA.c.version == bindparam("known_version"),
    )
    .values(
        **_MOVED,
        version=_SAGA.c.version + 1,
        deadline_at=func.coalesce(_SAGA.c.deadline_at, _DEADLINE),
        entered_at=case((_STAYS, _SAGA.c.entered_at), else_=in_seconds(0)),
    )
)


#: The owner of a saga that a message is on its way for.
QUEUE = "queue"


class FencedError(Exception):
    """Somebody else owns the saga now: what this process knows of it is out of date and must be forgotten."""


class KeyTakenError(Exception):
    """The Idempotency-Key already belongs to a saga."""


class SagaStore:
    """The engine's own path to the database, in autocommit: every call is one statement and durable on return."""

    def __init__(
        self, engine: Engine, registry: Registry, owner: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._registry, self.owner, self.clock = registry, owner, clock

    def insert(self, saga: Instance, delay_s: float | None, owner: str | None) -> None:
        """Make a new saga durable. Raises KeyTakenError.

        delay_s: when any process may take it; None: there is nothing left to do by itself. owner: whose it is until
        then: this process's, which may call its participants, QUEUE, or None.
        """
        definition = saga.definition
        values = self._moved(saga, delay_s, owner) | {
            "name": definition.name,
            "name_version": definition.version,
            "new_data": saga.data,
            "new_client": None if definition.client is None else str(saga.data[definition.client]),
            "new_store": None if definition.store is None else str(saga.data[definition.store]),
            "key": saga.key,
            "new_fingerprint": saga.fingerprint,
        }
        try:
            with self._engine.connect() as connection:
                connection.execute(_INSERT, values)
        except IntegrityError as error:
            if saga.key is None:
                raise
            raise KeyTakenError(saga.key) from error
        saga.committed()

    def save(self, saga: Instance, delay_s: float | None, owner: str | None) -> None:
        """Commit what the saga has moved since the last commit. Raises FencedError, and then nothing is written."""
        known = {"known_epoch": saga.epoch, "known_version": saga.version}
        values = self._moved(saga, delay_s, owner) | known
        if saga.asked:
            self._save_asked(saga, saga.asked, values)
        else:
            with self._engine.connect() as connection:
                self._save(connection, saga, values)
        saga.committed()

    def _save_asked(self, saga: Instance, asked: Entry, values: dict[str, Any]) -> None:
        """Commit what a person asked for together with its row in the audit trail, or neither."""
        after = {"state": saga.state, "status": saga.status, "version": saga.version + 1}
        with atomic(self._engine) as connection:
            self._save(connection, saga, values)
            append(connection, replace(asked, after=after))

    @staticmethod
    def _save(connection: Connection, saga: Instance, values: dict[str, Any]) -> None:
        if connection.execute(_SAVE, values).rowcount != 1:
            raise FencedError(saga.id)

    def _moved(self, saga: Instance, delay_s: float | None, owner: str | None) -> dict[str, Any]:
        # Both before the statement is sent, so that this process never believes in more time than it was given.
        saga.lease_end = inf if delay_s is None else self.clock() + delay_s
        begins = saga.deadline == inf and not saga.pending
        if begins:
            saga.deadline = self.clock() + saga.definition.deadline_s
        return {
            "saga_id": saga.id,
            "new_state": saga.state,
            "new_status": saga.status,
            "new_attempt": saga.attempt,
            "new_deferrals": saga.deferrals,
            "new_error": saga.error,
            "new_owner": owner,
            "new_claims": saga.claims,
            "new_unsure": saga.unsure or owner == self.owner,
            "new_order": saga.order,
            "delay_s": delay_s,
            "deadline_s": saga.definition.deadline_s if begins else None,
            "new_moves": [asdict(move) for move in saga.unsaved],
        }

    def read(self, saga_id: UUID) -> Instance | None:
        """Give the saga as it stands. Whoever moves it and commits first has it; others are fenced.

        Raises UnknownSagaError when its definition is not at hand.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(*STANDS).where(_SAGA.c.id == saga_id)).one_or_none()
            journal = journals(connection, [saga_id]) if row else {}
        return instance(self._registry, row, journal[saga_id], self.clock()) if row else None

    def find(self, saga_id: UUID) -> Row[Any] | None:
        """Look where a saga stands."""
        with self._engine.connect() as connection:
            return connection.execute(select(_SAGA).where(_SAGA.c.id == saga_id)).one_or_none()

    def find_key(self, key: str) -> Row[Any] | None:
        """Look up the saga that an Idempotency-Key belongs to."""
        with self._engine.connect() as connection:
            return connection.execute(select(_SAGA).where(_SAGA.c.idempotency_key == key)).one_or_none()
