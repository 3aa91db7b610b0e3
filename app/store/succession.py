"""Moves unfinished sagas to another version of their table. `machines.succession` decides which sagas can move.

A saga moves only while no process holds it: its row is locked, and the write raises its epoch and its version. So a
process that still has an older copy of the saga is fenced, as after a takeover. One row, MIGRATE, is added to the
journal; the other rows stay. State, journal row and audit row are written in one transaction, for a batch of sagas at a
time.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, func, not_, select, update
from sqlalchemy import Engine as Database

from app.store.audit import Entry, append
from app.store.citus import is_distributed
from app.store.database import db_now, later_of
from app.store.loading import is_in_doubt, journals
from app.store.models import UNFINISHED, SagaRow
from app.store.transactions import atomic
from machines.renaming import MIGRATE, STATES, as_named_now
from machines.saga import Saga
from machines.succession import Passage, Standing, passage

_SAGA = SagaRow.__table__
#: Largest number of sagas in one transaction. The transaction locks their rows; on SQLite every writer waits for its
#: end.
BATCH = 100
_FIRST = UUID(int=0)
_HELD = and_(_SAGA.c.owner.is_not(None), _SAGA.c.due_at > db_now())
_MOVE = (
    update(_SAGA)
    .where(
        _SAGA.c.id == bindparam("saga_id"),
        _SAGA.c.epoch == bindparam("known_epoch"),
        _SAGA.c.version == bindparam("known_version"),
    )
    .values(
        definition_version=bindparam("new_definition_version"),
        table_digest=bindparam("new_table_digest"),
        state=bindparam("new_state"),
        moves=bindparam("new_moves", type_=_SAGA.c.moves.type),
        owner=None,
        epoch=_SAGA.c.epoch + 1,
        version=_SAGA.c.version + 1,
        updated_at=later_of(_SAGA.c.updated_at, db_now()),
    )
)


@dataclass(frozen=True, kw_only=True)
class Examined:
    """One unfinished saga of the old version, and how it can move to the new version."""

    saga_id: UUID
    state: str
    #: Number of its last move.
    seq: int
    passage: Passage


class Succession:
    """The unfinished sagas of one version of a table, and how they can move to another version.

    unnamed: True when sagas without a stored digest belong to `old`. mapped: see `machines.succession.passage`.
    """

    def __init__(self, database: Database, old: Saga, new: Saga, mapped: Collection[str], *, unnamed: bool) -> None:
        self._database, self._old, self._new, self._mapped = database, old, new, mapped
        digest = func.coalesce(_SAGA.c.table_digest, old.digest if unnamed else "")
        self._of_old = and_(
            UNFINISHED,
            _SAGA.c.definition == old.name,
            _SAGA.c.definition_version == old.version,
            digest == old.digest,
        )

    def examine(self, batch: int = BATCH) -> Iterator[Examined]:
        """Yield each unfinished saga of the old version. Nothing is locked and nothing is written."""
        after = _FIRST
        while True:
            with self._database.connect() as connection:
                rows = connection.execute(self._after(after, batch)).all()
                found = self._examined(connection, rows)
            yield from found
            if len(rows) < batch:
                return
            after = rows[-1].id

    def move(self, actor: str, reason: str, batch: int = BATCH) -> Iterator[Sequence[Examined]]:
        """Move every saga that can move and that no process holds. Yield the moved sagas after each commit."""
        after = _FIRST
        while True:
            with atomic(self._database) as connection:
                chosen = self._after(after, batch, not_(_HELD))
                if not is_distributed(self._database):  # Citus locks no rows of several shards; _MOVE has its guards
                    chosen = chosen.with_for_update(skip_locked=True)
                rows = connection.execute(chosen).all()
                moved = self._move(connection, rows, actor, reason)
            yield moved
            if len(rows) < batch:
                return
            after = rows[-1].id

    def _after(self, last: UUID, batch: int, *conditions: ColumnElement[bool]) -> Select[Any]:
        wanted = select(_SAGA).where(self._of_old, _SAGA.c.id > last, *conditions)
        return wanted.order_by(_SAGA.c.id).limit(batch)

    def _examined(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[Examined]:
        journal = journals(connection, [row.id for row in rows]) if rows else {}
        # Without a lock, a saga may have ended and been deleted since its row was read.
        return [self._examine(row, moves) for row in rows if (moves := journal[row.id])]

    def _examine(self, row: Row[Any], journal: Sequence[Row[Any]]) -> Examined:
        saga = Standing(state=row.state, data=row.data, journal=as_named_now(journal), in_doubt=is_in_doubt(row))
        way = passage(self._old, self._new, saga, self._mapped)
        return Examined(saga_id=row.id, state=row.state, seq=journal[-1].seq, passage=way)

    def _move(self, connection: Connection, rows: Sequence[Row[Any]], actor: str, reason: str) -> list[Examined]:
        moved = []
        row_of = {row.id: row for row in rows}
        for found in self._examined(connection, rows):
            if found.passage.state is None:
                continue
            if connection.execute(_MOVE, self._values(row_of[found.saga_id], found, actor, reason)).rowcount == 1:
                moved.append(found)
        for found in moved:  # after all rows are locked: every writer locks its saga first and the audit trail second
            append(connection, self._entry(found, actor, reason))
        return moved

    def _values(self, row: Row[Any], found: Examined, actor: str, reason: str) -> dict[str, Any]:
        way, versions = found.passage, {"from_version": self._old.version, "to_version": self._new.version}
        move = {
            "seq": found.seq + 1, "source": row.state, "trigger": MIGRATE, "dest": way.state, "actor": actor,
            "reason": reason, "reply": versions | {STATES: dict(way.renamed)},
        }  # fmt: skip
        return {
            "saga_id": row.id,
            "known_epoch": row.epoch,
            "known_version": row.version,
            "new_definition_version": self._new.version,
            "new_table_digest": self._new.digest,
            "new_state": way.state,
            "new_moves": [move],
        }

    def _entry(self, found: Examined, actor: str, reason: str) -> Entry:
        return Entry(
            actor=actor,
            action=f"saga.{MIGRATE}",
            saga_id=found.saga_id,
            target=self._old.name,
            reason=reason,
            before={"state": found.state, "definition_version": self._old.version},
            after={"state": found.passage.state, "definition_version": self._new.version},
        )
