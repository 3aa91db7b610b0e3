"""Writes of sagas. A commit is one statement, or part of one: see app.store.group_commit.

The commit changes nothing when epoch or version have changed since the read.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.store import commits, request_keys
from app.store.audit import append
from app.store.children import (
    missing_children,
    send_back,
    wake_after_last,
    wake_if_born_finished,
    wake_parent,
)
from app.store.citus import is_distributed
from app.store.data_keys import DataKeys, Sealer
from app.store.database import stored_moment
from app.store.deliveries import address
from app.store.group_commit import AT_ONCE, Commit, GroupCommit, in_one_transaction
from app.store.instance import WRITTEN_OUT, Instance, search_text
from app.store.loading import SAGA_COLUMNS, instance, journals
from app.store.models import SagaRow, SagaTagRow
from app.store.statements import Connections, Statement
from app.store.tenants import acting_for
from app.store.transactions import atomic
from app.values import written
from app.webhook_settings.model import Webhooks
from machines.children import root_name
from machines.registry import Registry
from machines.restoring import stored_in_doubt
from machines.running import Move

_SAGA, _TAG = SagaRow.__table__, SagaTagRow.__table__

#: Seconds. A move that is younger than this at its commit gets the time of the commit. The database then does not
#: compute the move's own time.
SAME_MOMENT_S = 0.001


class FencedError(Exception):
    """The write changed no row, because another process or request has moved the saga. Forget this copy of it."""


class KeyTakenError(Exception):
    """The Idempotency-Key was taken or freed by another saga since it was looked up. Look the key up again."""


class SagaStore:
    """The engine's access to the database, in autocommit: every call is one statement and durable on return.

    webhooks: decides which moves are sent to which webhooks.
    """

    def __init__(
        self, connections: Connections, registry: Registry, owner: str, clock: Callable[[], float] = time.monotonic,
        *, webhooks: Webhooks | None = None, keys: DataKeys | None = None,
    ) -> None:  # fmt: skip
        self.connections, self._database = connections, connections.database
        self.keys = keys or DataKeys(self._database)
        self._registry, self.owner, self.clock = registry, owner, clock
        self._webhooks = webhooks or Webhooks()
        self._insert = Statement("saga_insert", commits.INSERT, connections)
        self._insert_later = Statement("saga_insert_later", commits.INSERT_LATER, connections)
        self._insert_child = Statement("saga_insert_child", commits.INSERT_CHILD, connections)
        self._save = Statement("saga_save", commits.SAVE, connections)
        self._save_waiting = Statement("saga_save_waiting", commits.SAVE_WAITING, connections)
        self._save_on = Statement("saga_save_on", commits.SAVE_ON, connections)
        on_sqlite = self._database.dialect.name == "sqlite"
        together = partial(in_one_transaction, self._database) if on_sqlite else commits.SaveAll(connections)
        #: Writes the commits of sagas that exist and have no rows beside their own to write.
        self.saves = GroupCommit(together, 1 if on_sqlite else AT_ONCE)
        #: Writes the inserts of sagas that start at once and have no other rows to write.
        self.inserts = self.saves if on_sqlite else GroupCommit(commits.InsertAll(connections), AT_ONCE)
        # The format in which SQLAlchemy stores a Uuid on each database.
        self._id_of = attrgetter("id.hex" if on_sqlite else "id_text")

    def insert(self, saga: Instance, delay_s: float | None, owner: str | None) -> None:
        """Make a new saga durable. Raise KeyTakenError when another saga has its Idempotency-Key.

        delay_s: seconds after which any process can claim the saga; None: the engine has nothing left to do.
        owner: the process that holds the lease until then; None: no process runs the saga.
        """
        beside = saga.definition.tags or saga.missing_children is not None or self._seals(saga)
        try:
            if beside or saga.key != saga.sent_key or self._writes_key(saga):
                with atomic(self._database) as connection:
                    self._insert_within(connection, saga, delay_s, owner)
                    self.move_family(connection, saga)
            elif saga.start_at is not None:
                self._insert_later.run(self._new(saga, delay_s, owner))
            else:
                self.inserts.write(Commit(self._insert, self._new(saga, delay_s, owner)))
        except IntegrityError as error:
            if saga.key is None:
                raise
            raise KeyTakenError(saga.key) from error
        saga.committed()

    def insert_all(
        self, sagas: Sequence[Instance], also: Callable[[Connection], None] = lambda _connection: None
    ) -> None:
        """Make new sagas with keys durable in one transaction, each due at its start. No process holds them yet.

        Raise KeyTakenError, with nothing written, when another saga has one of the keys. also: see `Engine.insert_all`.
        """
        try:
            with atomic(self._database) as connection:
                also(connection)
                # In the order of the clients, so that two batches that make the same keys do not wait for each other.
                for saga in sorted(sagas, key=_client_text):
                    self._provide_sealer(connection, saga)
                # In the order of the keys, so that two batches with the same keys do not wait for each other.
                for saga in sorted(sagas, key=attrgetter("key")):
                    self._insert_within(connection, saga, 0.0, None)
        except IntegrityError as error:
            raise KeyTakenError from error
        for saga in sagas:
            saga.committed()

    def insert_first(self, saga: Instance, delay_s: float, owner: str) -> None:
        """Insert a saga in its initial state. Do nothing when an earlier attempt has inserted it despite an error.

        Raise KeyTakenError when another saga has its Idempotency-Key.
        """
        try:
            self.insert(saga, delay_s, owner)
        except (KeyTakenError, IntegrityError):
            if self.find(saga.id) is None:
                raise
            saga.committed()

    def _insert_within(self, connection: Connection, saga: Instance, delay_s: float | None, owner: str | None) -> None:
        """Insert a saga and its tags.

        Its key is in the written-out form when another sender's saga has the key as sent.
        """
        self._provide_sealer(connection, saga)
        values = self._new(saga, delay_s, owner)
        if saga.key != saga.sent_key and not request_keys.lock(connection, str(saga.sent_key)):
            raise KeyTakenError(saga.key)  # the key as it was sent is free again
        if self._writes_key(saga):
            request_keys.add(connection, saga, values["created_s"])
        self._insert_of(saga).run_within(connection, values)
        self._insert_beside(connection, saga)

    def _insert_beside(self, connection: Connection, saga: Instance) -> None:
        """Write what belongs to the row of a new saga: its tags, and the key of its values."""
        _insert_tags(connection, saga)
        if saga.sealer is not None:
            with acting_for(None):
                connection.execute(update(_SAGA).where(_SAGA.c.id == saga.id).values(data_key=saga.sealer.key.id))

    def _writes_key(self, saga: Instance) -> bool:
        """Return True when no trigger writes the key of the saga's request: it is not on the saga's shard."""
        return saga.key is not None and is_distributed(self._database)

    def _seals(self, saga: Instance) -> bool:
        return saga.definition.secrets is not None and self.keys.encrypts

    def _provide_sealer(self, connection: Connection, saga: Instance, parent: Instance | None = None) -> None:
        """Set what seals the values of a new saga, if it has values to seal. A branch uses the key of its parent."""
        if not self._seals(saga):
            return
        client = _client_of(saga)
        if client is None and parent is not None and parent.sealer is not None:
            key = parent.sealer.key
        else:
            key = self.keys.provide(connection, saga.tenant, client)
        saga.sealer = Sealer(key, saga.id, saga.definition.secrets)

    def _insert_of(self, saga: Instance) -> Statement:
        return self._insert if saga.start_at is None else self._insert_later

    def _new(self, saga: Instance, delay_s: float | None, owner: str | None) -> dict[str, Any]:
        """Return the values of a new row. The arguments are those of `insert`."""
        definition = saga.definition
        return (
            self._moved(saga, owner)
            | self._due(saga, delay_s)
            | {
                "name": definition.name,
                "name_version": definition.version,
                "new_data": written(saga.data if saga.sealer is None else saga.sealer.data(saga.data)).decode(),
                "new_client": _client_of(saga),
                "new_store": None if definition.store is None else search_text(saga.data.get(definition.store)),
                "key": saga.key,
                "new_fingerprint": saga.fingerprint,
                "new_sent_digest": saga.sent_digest,
                "new_started_by": saga.started_by,
                "new_tenant": saga.tenant,
                "new_table_digest": definition.digest,
                "new_webhook": saga.webhook,
                "start_at": saga.start_at and stored_moment(saga.start_at, self._database),
                "created_s": saga.unsaved[0].made - saga.clock(),
            }
        )

    def save(self, saga: Instance, delay_s: float | None, owner: str | None, enough_s: float | None = None) -> None:
        """Commit the moves since the last commit. Raise FencedError, with nothing written, when the saga has moved.

        delay_s, owner: see `insert`. enough_s: do not renew the lease when it lasts longer than this, in seconds.
        """
        known = {"known_epoch": saga.epoch, "known_version": saga.version}
        leased = enough_s is not None and enough_s < saga.lease_end - self.clock() < inf and not saga.audit_entry
        values = self._moved(saga, owner) | known | {"renews": not leased}
        statement = self._save_on if leased else self._save
        if not leased:
            values |= self._due(saga, delay_s)
            if saga.current.waits is not None and owner is None:
                statement = self._save_waiting
                values["known_arrived"] = saga.arrived
        if saga.audit_entry or saga.current.awaits_child or saga.ends_for_parent:
            self._save_together(saga, statement, values)
        elif self.saves.write(Commit(statement, values)) != 1:
            raise FencedError(saga.id)
        saga.committed()

    def _save_together(self, saga: Instance, statement: Statement, values: dict[str, Any]) -> None:
        """Commit the moves in one transaction with what belongs to them: the audit row, the parent, the child.

        Raise FencedError as `save` does.
        """
        after = {"state": saga.state, "status": saga.status, "version": saga.version + 1}
        with atomic(self._database) as connection:
            if saga.sealer is not None and saga.audit_entry:  # a person may move a saga that has ended
                self.keys.hold(connection, saga.sealer.key, saga.id)
            if saga.ends_for_parent:
                wake_parent(connection, saga)
            if statement.run_within(connection, values) != 1:
                raise FencedError(saga.id)
            if saga.ends_for_parent and saga.ends_quietly:
                wake_after_last(connection, saga)
            self.move_family(connection, saga)
            if saga.audit_entry:
                append(connection, replace(saga.audit_entry, after=after))

    def move_family(self, connection: Connection, saga: Instance) -> None:
        """Insert the children that the saga's present step still has to start, or ask its children to compensate.

        The row of the saga is locked, because it was written in this transaction.
        """
        if not saga.current.awaits_child:
            return
        if saga.current.undoes:
            send_back(connection, saga)
            return
        saga.born = missing_children(connection, saga)
        for child in saga.born:
            child.sent_key = f"{saga.id_text}/{child.parent_step}/{child.child_number}"
            child.key = f"{WRITTEN_OUT}saga:{saga.id_text} {child.definition.name} {child.sent_key}"
            of_parent = {"parent": self._id_of(saga), "of_step": child.parent_step, "number": child.child_number}
            due_s = 0.0 if child.current.runs else None
            self._provide_sealer(connection, child, saga)
            self._insert_child.run_within(connection, self._new(child, due_s, None) | of_parent)
            self._insert_beside(connection, child)
            child.committed()
        wake_if_born_finished(connection, saga)

    def _due(self, saga: Instance, delay_s: float | None) -> dict[str, Any]:
        # The clock is read before the statement is sent, so that this process never assumes a longer lease than it has.
        saga.lease_end = inf if delay_s is None else self.clock() + delay_s
        if saga.deadline < inf or saga.pending:
            return {"delay_s": delay_s, "deadline_s": None}
        # The deadline counts from the start of the saga, which was before the reads that preceded this commit.
        age_s = 0.0 if saga.started_here_at is None else saga.clock() - saga.started_here_at
        left_s = saga.definition.deadline_s - age_s
        saga.deadline = self.clock() + left_s
        return {"delay_s": delay_s, "deadline_s": left_s}

    def _moved(self, saga: Instance, owner: str | None) -> dict[str, Any]:
        now = saga.clock()
        return {
            "saga_id": self._id_of(saga),
            "new_state": saga.state,
            "new_status": saga.status,
            "new_attempt": saga.failed_attempts,
            "new_deferrals": saga.deferrals,
            "new_error": saga.error,
            "new_owner": owner,
            # A release sets the count of claims to 0, because the saga has not killed this process.
            "new_claims": saga.claims if owner else 0,
            "new_unsure": stored_in_doubt(saga, held=owner == self.owner),
            "new_reference": saga.reference,
            "new_moves": written(self._moves(saga, now)).decode(),
            "entered_s": _entered(saga, now) - now,
        }

    def reports(self, saga: Instance) -> bool:
        """Return True when messages are written at the ends of the saga."""
        return bool(saga.definition.at_end) or self._webhooks.concerns(root_name(saga.definition.name), saga.webhook)

    def _moves(self, saga: Instance, now: float) -> list[dict[str, Any]]:
        moves = [_as_json(move, now) for move in saga.unsaved]
        if saga.sealer is not None:
            saga.sealer.moves(moves, saga.data, saga.results)
        if self.reports(saga):
            address(moves, saga, self._webhooks)
        return moves

    def read(self, saga_id: UUID) -> Instance | None:
        """Return the stored saga; None for an unknown id. When several processes move the saga, the first commit wins.

        Raise UnknownSagaError when this release does not have the saga's table.
        """
        with self._database.connect() as connection:
            row = connection.execute(select(*SAGA_COLUMNS).where(_SAGA.c.id == saga_id)).one_or_none()
            journal = journals(connection, [saga_id]) if row else {}
        return instance(self._registry, row, journal[saga_id], self.clock(), keys=self.keys) if row else None

    def find(self, saga_id: UUID) -> Row[Any] | None:
        """Return the row of a saga, or None."""
        with self._database.connect() as connection:
            return connection.execute(select(_SAGA).where(_SAGA.c.id == saga_id)).one_or_none()

    def find_keys(self, *keys: str) -> Sequence[Row[Any]]:
        """Return the rows of the sagas with these Idempotency-Keys, see `request_keys.find`."""
        return request_keys.find(self._database, keys)


def _client_of(saga: Instance) -> str | None:
    name = saga.definition.client
    return None if name is None else search_text(saga.data.get(name))


def _client_text(saga: Instance) -> str:
    return _client_of(saga) or ""


def _insert_tags(connection: Connection, saga: Instance) -> None:
    if tags := saga.tags:
        of_saga = {"saga_id": saga.id, "definition": saga.definition.name}
        connection.execute(insert(_TAG), [of_saga | {"name": name, "value": value} for name, value in tags])


def _as_json(move: Move, now: float) -> dict[str, Any]:
    """Return the move as JSON for the database's trigger: its columns, and its age at the commit as `age_us`."""
    columns = {column: value for column, value in vars(move).items() if value is not None}
    age = now - columns.pop("made")
    if age >= SAME_MOMENT_S:
        columns["age_us"] = int(age * 1_000_000)
    return columns


def _entered(saga: Instance, now: float) -> float:
    """Return when the saga entered its present state, in seconds on the saga's clock.

    The commit uses the value only if it brings the saga into that state.
    """
    for move in reversed(saga.unsaved):
        if move.source != move.dest:
            return move.made
    return now if saga.started_here_at is None else saga.started_here_at  # a pending saga that starts now
