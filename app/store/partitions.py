"""The tables `saga` and `journal`, partitioned by the month in the id of the saga, on PostgreSQL (ADR 44).

`saga partition` makes the two tables the default partitions of two partitioned tables of the same names. The statements
of the service stay as they are. Each month of the future then gets a partition of its own, so that it can be dropped
when all its sagas have ended. What has no partition of its own lies in the default partition.
"""

import re
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy import Engine as Database
from sqlalchemy.exc import DBAPIError

from app.errors import ConflictError
from app.store.citus import is_distributed
from app.store.database_errors import REPEATABLE, sqlstate
from app.store.transactions import atomic

_Result = TypeVar("_Result")
#: Table → its column with the id of the saga, in the order in which a commit locks them.
TABLES = {"saga": "id", "journal": "saga_id"}
#: Locks the tables and their partitions. A statement that has only waited for a partition would not see those that were
#: attached meanwhile: it would store a saga in the wrong one, which PostgreSQL refuses, or find none.
LOCK = f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE"
#: The names of the partitions, which are no tables of the models.
PARTITION = re.compile(r"(saga|journal)_(default|[0-9]{4}_[0-9]{2})")
#: The tables whose rows belong to a saga. One table cannot refer to the rows of a partitioned table cheaply: to drop a
#: partition, PostgreSQL would read all of them under a lock. So the trigger of deletions deletes them instead.
BELONGING = ("arrival", "saga_case", "saga_tag", "webhook_delivery")
#: Longest wait for a lock, in milliseconds, and how often it is tried, with a pause in seconds. A later statement
#: waits as long. PostgreSQL's deadlock_timeout is 1 s.
LOCK_TIMEOUT_MS, TRIES, PAUSE_S = 400, 60, 1.0

#: The function of migration 0027, with the tables that referred to `saga`. A move between partitions deletes nothing.
_PRUNED = f"""
    CREATE OR REPLACE FUNCTION saga_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF coalesce(current_setting('saga.moves_rows', true), '') = 'yes' THEN
            RETURN old;
        END IF;
        DELETE FROM journal WHERE saga_id = old.id;
        {"".join(f"DELETE FROM {table} WHERE saga_id = old.id;" for table in BELONGING)}
        IF old.idempotency_key IS NOT NULL THEN
            DELETE FROM request_key WHERE key = old.idempotency_key AND saga_id = old.id AND NOT outlives_saga;
        END IF;
        RETURN old;
    END $$
"""  # noqa: S608  built from constants
_FOREIGN_KEYS = """
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
    FROM pg_constraint WHERE contype = 'f' AND confrelid = 'saga'::regclass
"""
#: Statements that drop and make the policies of the tables, and those of other tables that read `saga`.
_POLICIES = """
    SELECT format('DROP POLICY %I ON %s', polname, polrelid::regclass) AS drops,
           format('CREATE POLICY %I ON %s AS %s FOR %s TO %s USING (%s)%s', polname, polrelid::regclass,
                  CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                  CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                              WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                  (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ')
                   FROM unnest(polroles) AS role),
                  pg_get_expr(polqual, polrelid),
                  coalesce(' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')', '')) AS makes
    FROM pg_policy WHERE oid IN (
        SELECT objid FROM pg_depend WHERE classid = 'pg_policy'::regclass AND refclassid = 'pg_class'::regclass
        AND refobjid IN ('saga'::regclass, 'journal'::regclass)
    )
"""
_TRIGGERS = """
    SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = CAST(:name AS regclass) AND NOT tgisinternal
"""
_INDEXES = r"""
    SELECT relname, pg_get_indexdef(indexrelid) AS makes, indisprimary, indisunique,
           substring(pg_get_indexdef(indexrelid) FROM '\(.*\)') AS columns
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = CAST(:name AS regclass)
"""
_GRANTS = """
    SELECT privilege_type AS "right",
           CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who
    FROM pg_class, aclexplode(relacl) WHERE oid = CAST(:name AS regclass) AND grantee <> relowner
"""


def is_partitioned(connection: Connection) -> bool:
    """Return True when `saga` and `journal` are partitioned."""
    if connection.dialect.name != "postgresql":
        return False
    return bool(connection.scalar(text("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('saga')")))


def partition(database: Database) -> bool:
    """Make `saga` and `journal` partitioned tables. Return False when they are already.

    No row is read or moved: the transaction changes the catalogue alone, and replicas wait for it some milliseconds.
    Raise ConflictError on SQLite, on Citus, and when the lock was never free.
    """
    if database.dialect.name != "postgresql":
        raise ConflictError("a SQLite file is not partitioned; the service deletes its old sagas row by row")
    if is_distributed(database):
        raise ConflictError("a database that Citus distributes is not partitioned by month, see ADR 49")
    return when_free(database, _partition)


def _partition(connection: Connection) -> bool:
    if is_partitioned(connection):
        return False
    connection.execute(text(LOCK))

    def run(statement: str) -> None:
        connection.execute(text(statement.replace(":", r"\:")))

    policies = connection.execute(text(_POLICIES)).all()
    for statement in (*connection.scalars(text(_FOREIGN_KEYS)), *(policy.drops for policy in policies), _PRUNED):
        run(statement)
    for table, column in TABLES.items():
        _make_default(connection, run, table, column)
    for policy in policies:
        run(policy.makes)
    return True


def _make_default(connection: Connection, run: Callable[[str], None], table: str, column: str) -> None:
    """Replace a table by a partitioned one of its name, with the same indexes, triggers and rights."""
    default, name = f"{table}_default", {"name": table}
    triggers = connection.execute(text(_TRIGGERS), name).all()
    indexes = connection.execute(text(_INDEXES), name).all()
    grants = connection.execute(text(_GRANTS), name).all()
    for trigger, _ in triggers:
        run(f"DROP TRIGGER {trigger} ON {table}")
    for index in indexes:
        run(f"ALTER INDEX {index.relname} RENAME TO {default}{index.relname.removeprefix(table)}")
    run(f"ALTER TABLE {table} RENAME TO {default}")
    run(f"CREATE TABLE {table} (LIKE {default} INCLUDING DEFAULTS) PARTITION BY RANGE ({column})")
    run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    for index in indexes:
        if index.indisprimary:
            run(f"ALTER TABLE {table} ADD CONSTRAINT {index.relname} PRIMARY KEY {index.columns}")
        elif not index.indisunique:  # PostgreSQL takes a unique index over other columns on each partition alone
            run(index.makes)
    # The equivalent indexes of the old table become parts of the new ones, so nothing is built.
    run(f"ALTER TABLE {table} ATTACH PARTITION {default} DEFAULT")
    for _, makes in triggers:
        run(makes)
    for grant in grants:
        run(f"GRANT {grant.right} ON {table} TO {grant.who}")
        run(f"REVOKE ALL ON {default} FROM {grant.who}")


def when_free(database: Database, work: Callable[[Connection], _Result]) -> _Result:
    """Do the work in a transaction that waits for each lock a short time only. Raise ConflictError after TRIES."""
    for _ in range(TRIES):
        try:
            with atomic(database) as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                return work(connection)
        except DBAPIError as error:
            if sqlstate(error.orig) not in REPEATABLE:
                raise
            time.sleep(PAUSE_S)
    raise ConflictError("the tables were locked all the time; try again when there is less load")
