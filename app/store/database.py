"""The two databases, and the few SQL expressions in which they differ."""

from datetime import UTC, datetime
from math import inf
from typing import Any, ClassVar, TypeVar

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, DateTime, Double, String, TypeDecorator, event
from sqlalchemy import Engine as Database
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.config import Config
from app.store.pool import SharedPool
from app.store.transactions import repeat_all
from app.values import LONGEST_LINE, read_back, shortened, written

db = SQLAlchemy()

#: With these a vanished server is noticed in seconds, not after the operating system's quarter of an hour.
#: client_encoding is set here because the driver must know it too; a pooler accepts it, but refuses `options`.
CONNECT = {
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 20_000, "client_encoding": "utf8",
}  # fmt: skip
#: Largest statement_timeout of PostgreSQL, in milliseconds.
LONGEST_TIMEOUT_MS = (1 << 31) - 1
#: How long a SQLite writer waits for another writer, in milliseconds.
SQLITE_BUSY_MS = 10_000
#: Session settings that the statements rely on, whatever the defaults of server, database and role are. One statement
#: per connection sets them all. Its answer names the server process, and so shows whether a pooler is in between.
_SESSION = """
    SELECT set_config('default_transaction_isolation', 'read committed', false),
           set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false),
           set_config('standard_conforming_strings', 'on', false), set_config('extra_float_digits', '1', false),
           set_config('statement_timeout', %s, false), pg_backend_pid()
"""


def install(app: Flask, config: Config) -> None:
    """Make `db.engine` of this application the database of the settings."""
    options = database_options(config.database_url, config.threads, config.database_connections)
    app.config.update(SQLALCHEMY_DATABASE_URI=config.database_url, SQLALCHEMY_ENGINE_OPTIONS=options)
    db.init_app(app)
    with app.app_context():
        make_durable(db.engine, config.database_statement_timeout_s)


def database_options(url: str, threads: int, connections: int = Config.database_connections) -> dict[str, Any]:
    """Return SQLAlchemy's options for a process with this number of threads and at most `connections` connections.

    A connection is held for one statement only, so a small pool serves many threads. Half of the connections are for
    the engine, see app.store.statements.
    """
    most = min(2 * threads, connections)
    options: dict[str, Any] = {
        "json_serializer": lambda value: written(value).decode(),
        "json_deserializer": read_back,
        # For every connection, not per use: a reset when a connection is returned fails if the server has gone, and
        # then the connection's place in the pool is lost.
        "isolation_level": "AUTOCOMMIT",
        "pool_reset_on_return": None,  # autocommit leaves nothing to roll back
        "poolclass": SharedPool,
        "pool_size": most // 2,
        "max_overflow": most - most // 2,
    }
    if url.startswith("sqlite"):
        return options | {"idle_s": inf}  # a file has room for every connection
    return options | {"connect_args": CONNECT}


def make_durable(database: Database, statement_timeout_s: float = Config.database_statement_timeout_s) -> None:
    """Set on each connection what the statements rely on.

    SQLite: a commit survives a power cut, and readers can read while one writes. PostgreSQL: the session settings.
    """
    if database.dialect.name == "sqlite":

        @event.listens_for(database, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")
            cursor.close()

    if database.dialect.name == "postgresql":
        repeat_all(database)

        @event.listens_for(database, "connect")
        def _session(connection: Any, record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute(_SESSION, [str(max(1, min(round(statement_timeout_s * 1000), LONGEST_TIMEOUT_MS)))])
            *_, served_by = cursor.fetchone()
            cursor.close()
            if served_by != connection.get_backend_pid() and isinstance(database.pool, SharedPool):
                database.pool.lasts(record.info)  # a pooler invented the process number that it sent at the connection


class UtcDateTime(TypeDecorator[datetime]):
    """A timestamp, always in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """Any JSON value; JSONB on PostgreSQL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        kind = JSONB if dialect.name == "postgresql" else JSON
        return dialect.type_descriptor(kind(none_as_null=True))


class Words(TypeDecorator[str]):
    """A text from outside, shortened when it is read, so that it fits on a page.

    An earlier release, without a bound, may have stored a longer text.
    """

    impl = String
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002
        return value if value is None else shortened(value, LONGEST_LINE)


_Value = TypeVar("_Value")


class _SqlFunction(FunctionElement[_Value]):
    """An SQL expression with a text for each database; {0}, {1} are its arguments."""

    inherit_cache = True
    postgresql: ClassVar[str]
    sqlite: ClassVar[str]


@compiles(_SqlFunction, "postgresql")
def _for_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return str(element.postgresql).format(*(compiler.process(clause, **options) for clause in element.clauses))


@compiles(_SqlFunction, "sqlite")
def _for_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return str(element.sqlite).format(*(compiler.process(clause, **options) for clause in element.clauses))


# On SQLite a moment is a text with six fraction digits, as SQLAlchemy writes and reads it.


class in_seconds(_SqlFunction[datetime]):  # noqa: N801  reads as the SQL function it is, as do those below
    """`in_seconds(delay)`: the database's clock plus a delay in seconds; NULL for a NULL delay.

    It uses PostgreSQL's clock that is constant within a statement, so an index can be searched for it.
    """

    type = UtcDateTime()
    inherit_cache = True
    postgresql = "(statement_timestamp() + make_interval(secs => {0}))"
    sqlite = "(strftime('%Y-%m-%d %H:%M:%f', 'now', {0} || ' seconds') || '000')"


class db_now(_SqlFunction[datetime]):  # noqa: N801
    """`db_now()`: the database's clock at the start of the statement."""

    type = UtcDateTime()
    inherit_cache = True
    postgresql = "statement_timestamp()"
    sqlite = "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


class later_of(_SqlFunction[datetime]):  # noqa: N801
    """`later_of(moment, moment)`: the later of two moments. Neither may be NULL."""

    type = UtcDateTime()
    inherit_cache = True
    postgresql = "greatest({0}, {1})"
    sqlite = "max({0}, {1})"


class minute_of(_SqlFunction[datetime]):  # noqa: N801
    """`minute_of(moment)`: the start of its minute."""

    type = UtcDateTime()
    inherit_cache = True
    postgresql = "date_trunc('minute', {0})"
    sqlite = "strftime('%Y-%m-%d %H:%M:00.000000', {0})"


class seconds_until(_SqlFunction[float]):  # noqa: N801
    """`seconds_until(moment)`: seconds from the database's clock to the moment; NULL for NULL."""

    type = Double()
    inherit_cache = True
    postgresql = "extract(epoch FROM {0} - statement_timestamp())::float8"
    sqlite = "((julianday({0}) - julianday('now')) * 86400.0)"


class seconds_between(_SqlFunction[float]):  # noqa: N801
    """`seconds_between(earlier, later)`: the difference in seconds."""

    type = Double()
    inherit_cache = True
    postgresql = "extract(epoch FROM {1} - {0})::float8"
    sqlite = "((julianday({1}) - julianday({0})) * 86400.0)"
