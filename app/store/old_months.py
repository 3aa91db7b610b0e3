"""The months of the partitioned tables that are dropped when all their sagas ended long ago (ADR 44)."""

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy import Engine as Database

from app.store.database import DAY_S
from app.store.months import Month, alone, months, within
from app.store.partitions import BELONGING, LOCK, TABLES, is_partitioned, when_free

#: Number of sagas of a detached month whose keys, tags, cases, signals and messages one statement deletes.
_BATCH = 5_000


def past_in(connection: Connection, days: float) -> datetime:
    """Return the time `days` days ago, on the clock of the database."""
    past = connection.scalar(text("SELECT now() - make_interval(secs => :seconds)"), {"seconds": days * DAY_S})
    assert isinstance(past, datetime)
    return past


def kept_whole(connection: Connection, days: float) -> tuple[UUID, UUID] | None:
    """Return the ids of the month that contains the time `days` days ago, when it has a partition.

    Its sagas stay until the whole month can be dropped, because that costs next to nothing.
    """
    if not is_partitioned(connection):
        return None
    month = Month.of(past_in(connection, days))
    return month.bounds if month in months(connection) else None


def drop_old(
    database: Database,
    days: float,
    archive: Callable[[Month], None] = lambda _month: None,
    keys_days: float | None = None,
) -> Iterator[tuple[Month, int]]:
    """Drop the months whose sagas all ended at least `days` days ago. Yield each one with its number of sagas.

    A month stays while a saga of it has something to send, or belongs to a family with a saga of another month.
    archive: is called before. keys_days: see `app.store.retention.delete_ended`.
    """
    with alone(database) as mine:
        if not mine:
            return
        with database.connect() as connection:
            past = past_in(connection, days)
            detached = months(connection, attached=False)  # by a process that was killed
            old = [month for month in months(connection) if month.next.start <= past]
            old = [month for month in old if _is_old(connection, month, past)]
        for month in detached:
            yield month, _drop(database, month, keys_days)
        for month in old:
            archive(month)
            if when_free(database, lambda connection, month=month: _detach(connection, month, past)):  # type: ignore[misc]
                yield month, _drop(database, month, keys_days)


def _is_old(connection: Connection, month: Month, past: datetime) -> bool:
    """Return True when nothing holds this month. Summarize its journal, so that `_detach` can look again at once."""
    summarize = """
        SELECT brin_summarize_new_values(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid
        WHERE indrelid = CAST(:name AS regclass) AND relam = (SELECT oid FROM pg_am WHERE amname = 'brin')
    """
    connection.execute(text(summarize), {"name": month.of_table("journal")})
    family = f"""
        SELECT 1 FROM {month.of_table("saga")} WHERE parent_id IS NOT NULL AND NOT {within("parent_id", month)}
        UNION ALL SELECT 1 FROM saga WHERE {within("parent_id", month)} AND NOT {within("id", month)} LIMIT 1
    """  # noqa: S608  built from constants
    return not connection.execute(text(family)).first() and not _is_held(connection, month, past)


def _is_held(connection: Connection, month: Month, past: datetime) -> bool:
    """Return True when a saga of the month is unfinished, has moved since, or has something to send. Uses indexes."""
    found = f"""
        SELECT EXISTS (SELECT 1 FROM {month.of_table("saga")} WHERE status NOT IN ('completed', 'compensated'))
            OR EXISTS (SELECT 1 FROM {month.of_table("journal")} WHERE at >= :past)
            OR EXISTS (SELECT 1 FROM outbox WHERE {within("saga_id", month)})
            OR EXISTS (SELECT 1 FROM webhook_delivery WHERE due_at IS NOT NULL AND {within("saga_id", month)})
    """  # noqa: S608
    return bool(connection.scalar(text(found), {"past": past}))


def _detach(connection: Connection, month: Month, past: datetime) -> bool:
    """Take a month out of the tables. Return False when something holds it again since `_is_old`."""
    connection.execute(text(LOCK))
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    if _is_held(connection, month, past):
        return False
    for table in TABLES:
        connection.execute(text(f"ALTER TABLE {table} DETACH PARTITION {month.of_table(table)}"))
    return True


def _drop(database: Database, month: Month, keys_days: float | None) -> int:
    """Delete what belongs to the sagas of a detached month, and drop its tables. Return the number of its sagas."""
    name, number, after = month.of_table("saga"), 0, UUID(int=0)
    young = "" if keys_days is None else "AND at < now() - make_interval(secs => :keys_s)"
    belonging = ", ".join(f"{each} AS (DELETE FROM {each} USING batch WHERE saga_id = batch.id)" for each in BELONGING)  # noqa: S608
    clear = text(f"""
        WITH batch AS MATERIALIZED (
            SELECT id, idempotency_key FROM {name} WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT {_BATCH}
        ), keys AS (
            DELETE FROM request_key USING batch WHERE key = batch.idempotency_key AND saga_id = batch.id
            AND NOT outlives_saga {young}
        ), {belonging}
        SELECT id FROM batch ORDER BY id
    """)  # noqa: S608
    values = {} if keys_days is None else {"keys_s": keys_days * DAY_S}
    with database.connect() as connection:
        while found := connection.scalars(clear, values | {"after": str(after)}).all():
            number, after = number + len(found), found[-1]
        connection.execute(text(f"DROP TABLE {name}, {month.of_table('journal')}"))
    return number
