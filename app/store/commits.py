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
    ColumnElement,
    Double,
    Integer,
    String,
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

from app.store.database import db_now, in_seconds, later_of
from app.store.group_commit import MAX_ROWS, Commit
from app.store.models import SagaRow
from app.store.statements import Connections, Statement

_SAGA = SagaRow.__table__
_ONE: ColumnElement[int] = literal_column("1", Integer())
_DEADLINE = in_seconds(bindparam("deadline_s"))


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


_MOVES = bindparam("new_moves", type_=_SAGA.c.moves.type)
INSERT = insert(_SAGA).values(
    **_moved(bindparam, _MOVES),
    id=bindparam("saga_id"),
    definition=bindparam("name"),
    definition_version=bindparam("name_version"),
    data=bindparam("new_data", type_=_SAGA.c.data.type),
    client=bindparam("new_client"),
    store=bindparam("new_store"),
    idempotency_key=bindparam("key"),
    fingerprint=bindparam("new_fingerprint"),
    epoch=_ONE,
    version=_ONE,
    deadline_at=_DEADLINE,
    started_by=bindparam("new_started_by"),
    tenant=bindparam("new_tenant"),
    sent_digest=bindparam("new_sent_digest"),
    table_digest=bindparam("new_table_digest"),
    webhook=bindparam("new_webhook"),
    created_at=in_seconds(bindparam("created_s")),
    entered_at=in_seconds(bindparam("entered_s")),
    updated_at=db_now(),
)
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

#: The rows of a batch, from one JSON text: it costs this process half of what an array for each column costs.
_ROWS = (
    func.json_to_recordset(bindparam("rows"))
    .table_valued(
        column("number", Integer()),
        column("saga_id", Uuid()),
        column("known_epoch", Integer()),
        column("known_version", Integer()),
        column("known_arrived", Integer()),
        column("renews", Boolean()),
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
        name="row",
    )
    .render_derived(with_types=True)
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
#: The members of a row that are columns of `_ROWS`. A commit that does not need one has none.
_NAMES = [each.name for each in _ROWS.c if each.name not in ("number", "new_moves")]


class SaveAll:
    """Writes commits of sagas that exist, on PostgreSQL: one statement for a batch."""

    def __init__(self, connections: Connections) -> None:
        self._statement = Statement("saga_save_all", SAVE_ALL, connections)

    def __call__(self, commits: Sequence[Commit]) -> Collection[int]:
        """Write the commits. Return the numbers of those that were written."""
        rows = [_row(number, commit) for number, commit in enumerate(commits)]
        return {number for (number,) in self._statement.fetch({"rows": orjson.dumps(rows).decode()})}


def _row(number: int, commit: Commit) -> dict[str, Any]:
    values = commit.values
    moves = orjson.Fragment(values["new_moves"])
    return {name: values.get(name) for name in _NAMES} | {"number": number, "new_moves": moves}
