"""The two databases, and the few words in which they differ."""

from datetime import UTC, datetime
from math import inf
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, DateTime, Double, Engine, String, TypeDecorator, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.config import Config
from app.store.pool import SharedPool
from app.store.repeating import repeat_all
from app.values import LONGEST_LINE, read_back, shortened, written

db = SQLAlchemy()

#: A server that has vanished is noticed in seconds, and not after the operating system's quarter of an hour.
#: client_encoding is sent here because the driver must know it too; a pooler lets it pass, and refuses `options`.
CONNECT = {
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 20_000, "client_encoding": "utf8",
}  # fmt: skip
#: PostgreSQL's longest statement_timeout.
LONGEST_TIMEOUT_MS = (1 << 31) - 1
#: How long a SQLite writer waits for another one.
SQLITE_BUSY_MS = 10_000
#: Session settings that statements rely on, whatever the server, the database or the role have as their default. All
#: in one statement, once for each connection, which also tells whether the server is the process that was connected to.
_SESSION = """
    SELECT set_config('default_transaction_isolation', 'read committed', false),
           set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false),
           set_config('standard_conforming_strings', 'on', false), set_config('extra_float_digits', '1', false),
           set_config('statement_timeout', %s, false), pg_backend_pid()
"""


def install(app: Flask, config: Config) -> None:
    """Make `db.engine` of this application the database of the settings."""
    options = engine_options(config.database_url, config.threads, config.database_connections)
    app.config.update(SQLALCHEMY_DATABASE_URI=config.database_url, SQLALCHEMY_ENGINE_OPTIONS=options)
    db.init_app(app)
    with app.app_context():
        make_durable(db.engine, config.database_statement_timeout_s)


def engine_options(url: str, threads: int, connections: int = Config.database_connections) -> dict[str, Any]:
    """Return the engine's options for a process of so many threads, which has at most so many connections.

    A connection is held for one statement only, so a few serve many threads. Half of them are for the engine, see
    app.store.connections.
    """
    most = min(2 * threads, connections)
    options: dict[str, Any] = {
        "json_serializer": lambda value: written(value).decode(),
        "json_deserializer": read_back,
        # For every connection, and not where it is needed: to set it back when a connection is given back fails where
        # the server has gone, and then its place in the pool is lost for good.
        "isolation_level": "AUTOCOMMIT",
        "pool_reset_on_return": None,  # in autocommit there is nothing to roll back
        "poolclass": SharedPool,
        "pool_size": most // 2,
        "max_overflow": most - most // 2,
    }
    if url.startswith("sqlite"):
        return options | {"idle_s": inf}  # a file has room for all
    return options | {"connect_args": CONNECT}


def make_durable(engine: Engine, statement_timeout_s: float = Config.database_statement_timeout_s) -> None:
    """Make each connection keep what the statements rely on.

    SQLite: a commit survives a power cut, and readers read while one writes. PostgreSQL: the session's settings.
    """
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")
            cursor.close()

    if engine.dialect.name == "postgresql":
        repeat_all(engine)

        @event.listens_for(engine, "connect")
        def _session(connection: Any, record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute(_SESSION, [str(max(1, min(round(statement_timeout_s * 1000), LONGEST_TIMEOUT_MS)))])
            *_, served_by = cursor.fetchone()
            cursor.close()
            if served_by != connection.get_backend_pid() and isinstance(engine.pool, SharedPool):
                engine.pool.lasts(record.info)  # a pooler made up the number that it gave at the connection


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """Any JSON; binary on PostgreSQL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        kind = JSONB if dialect.name == "postgresql" else JSON
        return dialect.type_descriptor(kind(none_as_null=True))


class Words(TypeDecorator[str]):
    """A text that came from outside, read back at a length that people and pages can take.

    A release that did not bound what it kept may have written a longer one.
    """

    impl = String
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002
        return value if value is None else shortened(value, LONGEST_LINE)


class in_seconds(FunctionElement[datetime]):  # noqa: N801  reads as the SQL function it is
    """`in_seconds(delay)`: the database's clock plus a delay in seconds. A delay of NULL gives NULL.

    The clock of PostgreSQL's that stands still within a statement, and so can be looked for in an index.
    """

    type = UtcDateTime()
    inherit_cache = True


@compiles(in_seconds, "postgresql")
def _in_seconds_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"(statement_timestamp() + make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(in_seconds, "sqlite")
def _in_seconds_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    delay = compiler.process(element.clauses, **options)
    # Six digits of fraction, as SQLAlchemy writes and reads them.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {delay} || ' seconds') || '000')"


class db_now(FunctionElement[datetime]):  # noqa: N801
    """`db_now()`: the database's clock, at this statement."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(db_now, "postgresql")
def _db_now_postgresql(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "statement_timestamp()"


@compiles(db_now, "sqlite")
def _db_now_sqlite(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


class later_of(FunctionElement[datetime]):  # noqa: N801
    """`later_of(moment, moment)`: the later one of two moments. Neither may be NULL."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(later_of, "postgresql")
def _later_of_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **options)})"


@compiles(later_of, "sqlite")
def _later_of_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


class seconds_until(FunctionElement[float]):  # noqa: N801
    """`seconds_until(moment)`: how far it is ahead of the database's clock; NULL of NULL."""

    type = Double()
    inherit_cache = True


@compiles(seconds_until, "postgresql")
def _seconds_until_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"extract(epoch FROM {compiler.process(element.clauses, **options)} - statement_timestamp())::float8"


@compiles(seconds_until, "sqlite")
def _seconds_until_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"((julianday({compiler.process(element.clauses, **options)}) - julianday('now')) * 86400.0)"
