"""The months of the partitioned tables `saga` and `journal`, and how they are made ahead of time (ADR 44).

What deletes old sagas does it: `saga prune`, or the process whose turn it is with RETENTION_DAYS. The role must own the
tables. One process at a time works at the months; an advisory lock decides which one.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy import Engine as Database
from sqlalchemy.exc import DBAPIError

from app.store.database_errors import REPEATABLE, sqlstate
from app.store.partitions import LOCK, PAUSE_S, TABLES, TRIES, is_partitioned, when_free
from app.store.saga_ids import first_id
from app.store.transactions import atomic

#: The number of the advisory lock; no other program locks this number in this database.
_TURN = 5_349_786_202
#: Number of months after the present one that have a partition.
AHEAD = 3
#: A default partition of at most this size, in bytes, is read in some milliseconds, so it is read under a lock.
SMALL = 32 * 1024 * 1024
#: A month whose start is nearer than this counts as the present one: the clocks of other processes can be ahead.
_MARGIN = timedelta(hours=1)
_CHECK = "not_in_new_month"


@dataclass(frozen=True, order=True)
class Month:
    """A month in UTC."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> "Month":
        moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    @property
    def next(self) -> "Month":
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def bounds(self) -> tuple[UUID, UUID]:
        """The smallest id of the month, and that of the next one. Ids of version 4 can lie between them, too."""
        return first_id(self.start), first_id(self.next.start)

    def of_table(self, table: str) -> str:
        """Return the name of the month's partition of a table."""
        return f"{table}_{self.year}_{self.number:02}"


def months(connection: Connection, *, attached: bool = True) -> list[Month]:
    """Return the months that have a partition. attached=False: those that are detached and not yet dropped."""
    named = """
        SELECT relname FROM pg_class WHERE relkind = 'r' AND relispartition = :attached
        AND relnamespace = current_schema()::regnamespace AND relname ~ '^saga_[0-9]{4}_[0-9]{2}$' ORDER BY relname
    """
    found = connection.scalars(text(named), {"attached": attached})
    return [Month(int(name[5:9]), int(name[10:])) for name in found]


def within(column: str, month: Month) -> str:
    """Return the condition for the ids of this month."""
    first, last = month.bounds
    return f"({column} >= '{first}' AND {column} < '{last}')"


@contextmanager
def alone(database: Database) -> Iterator[bool]:
    """Yield True when `saga` is partitioned and no other process works at the months until the end of the block."""
    with database.connect() as connection:
        if not is_partitioned(connection):
            yield False
            return
    with atomic(database) as turn:
        turn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield bool(turn.scalar(text("SELECT pg_try_advisory_xact_lock(:turn)"), {"turn": _TURN}))


def make_ahead(database: Database) -> Sequence[Month]:
    """Make the partitions of the next AHEAD months that are missing. Return their months.

    The present month is made, too, while the default partitions are small and have no unfinished saga of it. Otherwise
    its sagas stay in the default partition.
    """
    with alone(database) as mine:
        if not mine:
            return ()
        _drop_check(database)  # of a process that was killed meanwhile
        with database.connect() as connection:
            present, future = _missing(connection)
            small = _is_small(connection)
        if not small:
            return [month for month in future if _make_beside(database, month)]
        wanted = [present, *future] if present is not None else future
        return [month for month in wanted if when_free(database, partial(add, month=month))]


def _missing(connection: Connection) -> tuple[Month | None, Sequence[Month]]:
    """Return the present month, or None when it has a partition, and the months after it that have none."""
    now = connection.scalar(text("SELECT now()"))
    assert isinstance(now, datetime)
    there, wanted = set(months(connection)), [Month.of(now + _MARGIN)]
    for _ in range(AHEAD):
        wanted.append(wanted[-1].next)
    present, *future = wanted
    return None if present in there else present, [month for month in future if month not in there]


def _is_small(connection: Connection) -> bool:
    sizes = (f"pg_table_size('{table}_default')" for table in TABLES)
    return bool(connection.scalar(text(f"SELECT {' + '.join(sizes)} <= :small"), {"small": SMALL}))


def _has_unfinished(connection: Connection, month: Month) -> bool:
    """Return True when an unfinished saga would have to be moved: its process would believe that it is gone."""
    unfinished = f"status NOT IN ('completed', 'compensated') AND {within('id', month)}"
    return bool(connection.execute(text(f"SELECT 1 FROM saga_default WHERE {unfinished} LIMIT 1")).first())  # noqa: S608


def add(connection: Connection, month: Month) -> bool:
    """Make one month, with the rows of the default partitions that belong there, which are locked and read.

    Return False when an unfinished saga would have to be moved.
    """
    _make_tables(connection, month)
    connection.execute(text(LOCK))
    if _has_unfinished(connection, month):
        connection.execute(text("DROP TABLE " + ", ".join(map(month.of_table, TABLES))))
        return False
    _move(connection, month)
    _attach(connection, month)
    return True


def _make_beside(database: Database, month: Month) -> bool:
    """Make one month of the future while replicas go on writing. Return False when it is not possible yet.

    A check that the default partition has no row of this month is validated first, without a lock that stops others. So
    PostgreSQL does not read the partition when it attaches the month. The few rows that lie there, of ended sagas
    with ids of version 4, are moved in the same transaction, so others see them all the time. While processes of
    earlier releases still start sagas with such ids, no month is made: the check could refuse one of them.
    """
    random = """
        SELECT 1 FROM saga WHERE created_at > now() - interval '1 hour' AND parent_id IS NULL
        AND substr(id::text, 15, 1) = '4' LIMIT 1
    """
    with database.connect() as connection:
        if connection.execute(text(random)).first() or _has_unfinished(connection, month):
            return False

    def check(connection: Connection) -> None:
        for table, column in TABLES.items():
            outside = f"CHECK (NOT {within(column, month)})"
            connection.execute(text(f"ALTER TABLE {table}_default ADD CONSTRAINT {_CHECK} {outside} NOT VALID"))

    def make(connection: Connection) -> None:
        _make_tables(connection, month)
        _move(connection, month)
        for table in TABLES:
            connection.execute(text(f"ALTER TABLE {table}_default VALIDATE CONSTRAINT {_CHECK}"))
        _patiently(connection, lambda: _attach(connection, month))

    try:
        when_free(database, check)
        when_free(database, make)
    finally:
        _drop_check(database)
    return True


def _drop_check(database: Database) -> None:
    """Drop the checks of `_make_beside`. Otherwise sagas of these months could not be stored when they have come."""

    def drop(connection: Connection) -> None:
        for table in TABLES:
            connection.execute(text(f"ALTER TABLE {table}_default DROP CONSTRAINT IF EXISTS {_CHECK}"))

    with database.connect() as connection:
        there = connection.scalar(text("SELECT 1 FROM pg_constraint WHERE conname = :name LIMIT 1"), {"name": _CHECK})
    if there:
        when_free(database, drop)


def _make_tables(connection: Connection, month: Month) -> None:
    for table in TABLES:
        name = month.of_table(table)
        connection.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"))
        connection.execute(text(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"))
    name = month.of_table("saga")
    connection.execute(text(f"ALTER TABLE {name} SET (fillfactor = 50)"))
    children = f"CREATE UNIQUE INDEX {name}_children ON {name} (parent_id, parent_step, child_number)"
    connection.execute(text(f"{children} WHERE parent_id IS NOT NULL"))


def _move(connection: Connection, month: Month) -> None:
    """Move the rows of the default partitions that belong to this month."""
    connection.execute(text("SELECT set_config('saga.moves_rows', 'yes', true)"))
    for table, column in TABLES.items():
        moved = f"DELETE FROM {table}_default WHERE {within(column, month)} RETURNING *"  # noqa: S608
        inserted = f"INSERT INTO {month.of_table(table)} SELECT * FROM moved"  # noqa: S608
        connection.execute(text(f"WITH moved AS ({moved}) {inserted}"))


def _attach(connection: Connection, month: Month) -> None:
    connection.execute(text(LOCK))
    first, last = month.bounds
    for table in TABLES:
        values = f"FOR VALUES FROM ('{first}') TO ('{last}')"
        connection.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {month.of_table(table)} {values}"))


def _patiently(connection: Connection, work: Callable[[], None]) -> None:
    """Do the last part of a long transaction, and again after a pause when a lock was not free."""
    for left in reversed(range(TRIES)):
        connection.exec_driver_sql("SAVEPOINT again")
        try:
            return work()
        except DBAPIError as error:
            if sqlstate(error.orig) not in REPEATABLE or not left:
                raise
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT again")
            time.sleep(PAUSE_S)
    return None
