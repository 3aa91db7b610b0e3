"""Citus: a database whose sagas are distributed over several servers by their ids (deploy/postgres/citus.sql, ADR 49).

A connection shows whether its database is distributed. On any other database every statement is sent unchanged.
"""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Dialect, Uuid, bindparam, event, text
from sqlalchemy import Engine as Database

#: SQL that returns True in a distributed database: deploy/postgres/citus.sql sets this setting.
SHOWS_DISTRIBUTED = "coalesce(current_setting('saga.distributed', true), '') = 'on'"
_FOUND = "saga_distributed"
_CLOCK, _LATER = "statement_timestamp()", "(statement_timestamp() + make_interval(secs => "
#: The first 48 bits and the version are those of the saga, as app.store.saga_ids says.
_NEAR = (
    text("""
    SELECT id FROM (
        SELECT CAST(left(CAST(:near AS text), 15) || substr(CAST(gen_random_uuid() AS text), 16) AS uuid) AS id
        FROM generate_series(1, 5000 * :number)
    ) AS new
    WHERE uuid_hash(id) >> 24 = uuid_hash(:near) >> 24 LIMIT :number
""")
    .bindparams(bindparam("near", type_=Uuid()))
    .columns(id=Uuid())
)
_READS = re.compile(r"\s*SELECT\b", re.IGNORECASE)


def found(database: Database, *, distributed: bool) -> None:
    """Record what a new connection has shown."""
    if distributed and not known(database.dialect):
        event.listen(database, "before_cursor_execute", _write_time, retval=True)
    setattr(database.dialect, _FOUND, distributed)


def known(dialect: Dialect) -> bool:
    """Return True when a connection has shown that the database is distributed."""
    return bool(getattr(dialect, _FOUND, False))


def is_distributed(database: Database) -> bool:
    """Return True for a distributed database. The first call connects, unless a connection was made before."""
    distributed: bool | None = getattr(database.dialect, _FOUND, None)
    if distributed is None and database.dialect.name == "postgresql":
        database.connect().close()
        return known(database.dialect)
    return bool(distributed)


def with_time(statement: str, cursor: Any) -> str:
    """Return a statement that writes, with the present time instead of the clock.

    Citus refuses the clock in the CASE of an UPDATE, and a sum with it beside a column. The time is the coordinator's.
    """
    if _CLOCK not in statement or _READS.match(statement):
        return statement
    cursor.execute("SELECT extract(epoch FROM statement_timestamp())")
    now = cursor.fetchone()[0]
    return statement.replace(_LATER, f"to_timestamp({now} + (").replace(_CLOCK, f"to_timestamp({now})")


def near(connection: Connection, saga_id: UUID, number: int) -> Sequence[UUID]:
    """Return new ids whose sagas lie on the shard of this saga, so that one commit writes parent and child.

    Their hash has the first 8 bits of the saga's hash. So they stay together when a shard is split at such a boundary.
    """
    found = connection.scalars(_NEAR, {"near": saga_id, "number": number}).all()
    assert len(found) == number, "one of 256 random ids is near"
    return found


def _write_time(
    _connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    return with_time(statement, cursor), parameters
