"""The SQL of the commits of sagas: of one saga, and on PostgreSQL also of several sagas by one statement.

docs/model/batch.pml names the guards of the statement of several sagas: ROWS_ARE_GUARDED is in `_as_known`,
FENCED_ALONE and SKIPS_LOCKED are in `_free`.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    CTE,
    Boolean,
    ColumnClause,
    ColumnElement,
    Double,
    Integer,
    String,
    TableValuedAlias,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.store.citus import is_distributed
from app.store.database import db_now, in_seconds, later_of
from app.store.group_commit import MAX_ROWS, Commit
from app.store.models import SagaRow
from app.store.statements import Connections, Statement

_SAGA = SagaRow.__table__
_ONE: ColumnElement[int] = literal_column("1", Integer())


def _moved(value: Callable[[str], Any], moves: Any) -> dict[str, Any]:
    """Return the columns that each commit writes.

    value: returns the expression of a value, from its name. moves: the expression of the moves.
    """
    return {
        "state": value("new_state"),
        "status": value("new_status"),
        "attempt": value("new_attempt"),
        "deferrals": value("new_deferrals"),
        "error": value("new_error"),
        "owner": value("new_owner"),
        "claims": value("new_claims"),
        "unsure": value("new_unsure"),
        "order_ref": value("new_reference"),
        "due_at": in_seconds(value("delay_s")),
        "moves": moves,
    }


def _saved(value: Callable[[str], Any], moves: Any) -> dict[str, Any]:
    """Return the columns that a commit after the first one writes. The arguments are those of `_moved`."""
    # The casts give the parameter one type in the whole statement, which a prepared statement of PostgreSQL requires.
    state, status = cast(value("new_state"), String), cast(value("new_status"), String)
    # A pending saga counts as entering its state when it starts.
    stays = and_(_SAGA.c.state == state, _SAGA.c.status == status)
    return _moved(value, moves) | {
        "version": _SAGA.c.version + _ONE,
        "deadline_at": func.coalesce(_SAGA.c.deadline_at, in_seconds(value("deadline_s"))),
        "entered_at": case((stays, _SAGA.c.entered_at), else_=in_seconds(value("entered_s"))),
        # Never earlier than the commit before, so the journal keeps its order when the clock is set back.
        "updated_at": later_of(_SAGA.c.updated_at, db_now()),
    }


def _as_known(value: Callable[[str], Any]) -> tuple[ColumnElement[bool], ...]:
    """Return the guards of a commit: nobody else has claimed or moved the saga since it was read."""
    return (
        _SAGA.c.id == value("saga_id"),
        _SAGA.c.epoch == value("known_epoch"),
        _SAGA.c.version == value("known_version"),
    )


def _new(value: Callable[[str], Any], moves: Any, data: Any) -> dict[str, Any]:
    """Return the columns of a new row. data: the expression of the saga's data; the others are those of `_moved`."""
    return _moved(value, moves) | {
        "id": value("saga_id"),
        "definition": value("name"),
        "definition_version": value("name_version"),
        "data": data,
        "client": value("new_client"),
        "store": value("new_store"),
        "idempotency_key": value("key"),
        "fingerprint": value("new_fingerprint"),
        "epoch": _ONE,
        "version": _ONE,
        "deadline_at": in_seconds(value("deadline_s")),
        "started_by": value("new_started_by"),
        "tenant": value("new_tenant"),
        "sent_digest": value("new_sent_digest"),
        "table_digest": value("new_table_digest"),
        "webhook": value("new_webhook"),
        "created_at": in_seconds(value("created_s")),
        "entered_at": in_seconds(value("entered_s")),
        "updated_at": db_now(),
    }


_MOVES = bindparam("new_moves", type_=_SAGA.c.moves.type)
INSERT = insert(_SAGA).values(_new(bindparam, _MOVES, bindparam("new_data", type_=_SAGA.c.data.type)))
#: The insert of a saga that is to start later. Its start time is also the time when it is due and enters its state.
INSERT_LATER = INSERT.values(due_at=bindparam("start_at"), entered_at=bindparam("start_at"))
INSERT_CHILD = INSERT.values(
    parent_id=bindparam("parent"), parent_step=bindparam("of_step"), child_number=bindparam("number")
)
_SAVED = _saved(bindparam, _MOVES)
SAVE = update(_SAGA).where(*_as_known(bindparam)).values(_SAVED)


def _due_when_released(value: Callable[[str], Any]) -> ColumnElement[Any]:
    """Return when a waiting saga is due that a commit releases.

    The saga is due at once when a signal has arrived since it was read and before the saga waited; a later signal
    changes the version, see app.store.arrivals. The CASE reads a column of the row itself, which PostgreSQL reads again
    when another transaction has held the row. A subquery would not see the signal of that transaction.
    """
    return case((_SAGA.c.arrived != value("known_arrived"), db_now()), else_=in_seconds(value("delay_s")))


#: A commit that releases a waiting saga.
SAVE_WAITING = SAVE.values(due_at=_due_when_released(bindparam))
#: A commit that does not renew the lease. It changes no indexed column, so PostgreSQL updates no index (a HOT update).
SAVE_ON = (
    update(_SAGA)
    .where(*_as_known(bindparam))
    .values({name: value for name, value in _SAVED.items() if name not in ("due_at", "deadline_at")})
)

#: The members of each row of a batch.
_COMMITTED: tuple[ColumnClause[Any], ...] = (
    column("saga_id", Uuid()),
    column("delay_s", Double()),
    column("deadline_s", Double()),
    column("entered_s", Double()),
    column("new_state", String()),
    column("new_status", String()),
    column("new_attempt", Integer()),
    column("new_deferrals", Integer()),
    column("new_error", String()),
    column("new_owner", String()),
    column("new_claims", Integer()),
    column("new_unsure", Boolean()),
    column("new_reference", String()),
    column("new_moves", JSONB()),
)
#: The members that are JSON texts already.
_JSON = ("new_moves", "new_data")


def _rows(*further: ColumnClause[Any]) -> TableValuedAlias:
    """Return the rows of a batch, from one JSON text: it costs this process half of what an array per column costs."""
    rows = func.json_to_recordset(bindparam("rows")).table_valued(*_COMMITTED, *further, name="row")
    return rows.render_derived(with_types=True)


_ROWS = _rows(
    column("number", Integer()),
    column("known_epoch", Integer()),
    column("known_version", Integer()),
    column("known_arrived", Integer()),
    column("renews", Boolean()),
)
_NEW_ROWS = _rows(
    column("name", String()),
    column("name_version", Integer()),
    column("new_data", JSONB()),
    column("new_client", String()),
    column("new_store", String()),
    column("key", String()),
    column("new_fingerprint", String()),
    column("new_sent_digest", String()),
    column("new_started_by", String()),
    column("new_tenant", String()),
    column("new_table_digest", String()),
    column("new_webhook", String()),
    column("created_s", Double()),
)


def _free() -> CTE:
    """Select the rows whose guards hold, and lock them.

    A row whose guard fails is left out, and the others are written. So is a row that another transaction has locked:
    a batch never waits for a lock, so it cannot be part of a deadlock, and one saga does not delay the others.

    The range of `number` always holds. It makes PostgreSQL expect one row, and look each row up by its primary key, as
    for a single commit. Otherwise it expects 100 rows, and reads the whole table while the table is new.
    """
    return (
        select(*_ROWS.c)
        .join(_SAGA, and_(*_as_known(_ROWS.c.__getitem__)))
        .where(_ROWS.c.number.between(literal_column("0"), literal_column(str(MAX_ROWS))))
        .with_for_update(of=_SAGA, key_share=True, skip_locked=True)
        .cte("free")
    )


_FREE = _free()
SAVE_ALL = (
    update(_SAGA)
    .where(_SAGA.c.id == _FREE.c.saga_id)
    .values(
        _saved(_FREE.c.__getitem__, _FREE.c.new_moves)
        | {"due_at": case((_FREE.c.renews, _due_when_released(_FREE.c.__getitem__)), else_=_SAGA.c.due_at)}
    )
    .returning(_FREE.c.number)
)
_INSERTED = _new(_NEW_ROWS.c.__getitem__, _NEW_ROWS.c.new_moves, _NEW_ROWS.c.new_data)
#: In the order of the keys, so that two batches with the same keys do not wait for each other.
INSERT_ALL = insert(_SAGA).from_select(
    list(_INSERTED), select(*_INSERTED.values()).order_by(_NEW_ROWS.c.key), include_defaults=False
)


class SaveAll:
    """Writes commits of sagas that exist, on PostgreSQL: one statement for a batch."""

    def __init__(self, connections: Connections) -> None:
        self._database = connections.database
        self._statement = Statement("saga_save_all", SAVE_ALL, connections)

    def __call__(self, commits: Sequence[Commit]) -> Collection[int]:
        """Write the commits. Return the numbers of those that were written.

        On a distributed database return none: no statement writes sagas of several shards, so each is written alone.
        """
        if is_distributed(self._database):
            return ()
        return {number for (number,) in self._statement.fetch({"rows": _text(_ROWS, commits)})}


class InsertAll:
    """Inserts new sagas, on PostgreSQL: one statement for a batch, which inserts all of them or none."""

    def __init__(self, connections: Connections) -> None:
        self._database = connections.database
        self._statement = Statement("saga_insert_all", INSERT_ALL, connections)

    def __call__(self, commits: Sequence[Commit]) -> Collection[int]:
        """Insert the sagas. Return the numbers of all commits. Raise IntegrityError when a key is taken.

        On a distributed database return none, as `SaveAll` does.
        """
        if is_distributed(self._database):
            return ()
        self._statement.run({"rows": _text(_NEW_ROWS, commits)})
        return range(len(commits))


def _text(rows: TableValuedAlias, commits: Sequence[Commit]) -> str:
    """Return the values of commits as the JSON text of `rows`. A commit that does not need a member has none."""
    names = [each.name for each in rows.c]
    found = []
    for number, commit in enumerate(commits):
        row: dict[str, Any] = {name: commit.values.get(name) for name in names} | {"number": number}
        found.append(row | {name: orjson.Fragment(row[name]) for name in _JSON if name in row})
    return orjson.dumps(found).decode()
