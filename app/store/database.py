"""The two databases, and the few SQL expressions in which they differ."""

from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, DateTime, Double, Integer, String, TypeDecorator, event
from sqlalchemy import Engine as Database
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.config import Config
from app.store import citus
from app.store.causes import cause
from app.store.pool import POOLED, READER, Reader, SharedPool
from app.store.sqlite_file import create_private
from app.store.tenants import FIND_ALL_TENANTS, ROLE_OF_QUERIES, TAKE_ALL_TENANTS, keep_to_tenants
from app.store.transactions import repeat_all
from app.values import LONGEST_LINE, read_back, written
from machines.lines import shortened

db = SQLAlchemy()

#: Type of a 64-bit number that the database generates. SQLite generates numbers only in an INTEGER column.
COUNTED = BigInteger().with_variant(Integer(), "sqlite")

#: Connection options for PostgreSQL. With these times, in seconds (tcp_user_timeout: milliseconds), a dead server is
#: noticed within seconds; by default it takes a quarter of an hour. client_encoding is here and not in _SESSION,
#: because the driver must know it.
CONNECT = {
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 20_000, "client_encoding": "utf8",
}  # fmt: skip
#: Largest statement_timeout of PostgreSQL, in milliseconds.
LONGEST_TIMEOUT_MS = (1 << 31) - 1
#: How long a SQLite writer waits for another writer, in milliseconds.
SQLITE_BUSY_MS = 10_000
#: Statement that each new connection runs. It sets the session settings that all other statements rely on. It also
#: returns the number of the server process, which shows whether a connection pooler is between client and server.
#: plan_cache_mode: PostgreSQL believes that a prepared statement reads all partitions, and would plan each execution
#: again, which takes longer than the statement; in fact it reads the partition of the id alone.
_SESSION = f"""
    SELECT set_config('default_transaction_isolation', 'read committed', false),
           set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false),
           set_config('standard_conforming_strings', 'on', false), set_config('extra_float_digits', '1', false),
           set_config('statement_timeout', %s, false), set_config('plan_cache_mode', 'force_generic_plan', false),
           {citus.SHOWS_DISTRIBUTED}, pg_backend_pid()
"""


def install(app: Flask, config: Config) -> None:
    """Connect `db.engine` of this application to the database of DATABASE_URL."""
    options = database_options(config.database_url, config.threads, config.database_connections)
    app.config.update(SQLALCHEMY_DATABASE_URI=config.database_url, SQLALCHEMY_ENGINE_OPTIONS=options)
    app.config["DATABASE_SERVICE"] = (config.database_service_role, config.database_service_password)
    app.before_request(_note_reader)
    app.teardown_request(_forget_reader)
    db.init_app(app)
    with app.app_context():
        make_durable(db.engine, config.database_statement_timeout_s)
        keep_to_tenants(db.engine)


def _note_reader() -> None:
    if request.method in {"GET", "HEAD"}:
        READER.set(Reader())


def _forget_reader(_error: BaseException | None) -> None:
    READER.set(None)


def database_options(url: str, threads: int, connections: int = Config.database_connections) -> dict[str, Any]:
    """Return SQLAlchemy's options for a process with this number of threads and at most `connections` connections.

    A connection is held for one statement only, so a small pool serves many threads. Half of the connections are
    reserved for the statements of the engine, see app.store.statements.
    """
    most = min(2 * threads, connections)
    options: dict[str, Any] = {
        "json_serializer": lambda value: written(value).decode(),
        "json_deserializer": read_back,
        # Autocommit is set once for each connection. SQLAlchemy would reset a setting for one use when the connection
        # returns to the pool. This reset fails when the server has gone, and the pool would then count the connection
        # for ever.
        "isolation_level": "AUTOCOMMIT",
        "pool_reset_on_return": None,  # autocommit leaves nothing to roll back
        "poolclass": SharedPool,
        "pool_size": most // 2,
        "max_overflow": most - most // 2,
    }
    if url.startswith("sqlite"):
        return options | {"idle_s": inf}  # a SQLite file does not limit the number of connections
    return options | {"connect_args": CONNECT}


def make_durable(database: Database, statement_timeout_s: float = Config.database_statement_timeout_s) -> None:
    """Make each new connection set its session settings.

    On SQLite a commit then survives a power cut, and readers do not wait for a writer. On PostgreSQL the settings are
    those of _SESSION, and statements that were rolled back are repeated.
    """
    if database.dialect.name == "sqlite":

        @event.listens_for(database, "do_connect")
        def _private(_dialect: Any, _record: Any, arguments: list[Any], _parameters: Any) -> None:
            create_private(Path(arguments[0]))

        @event.listens_for(database, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")
            cursor.close()
            connection.create_function("saga_cause", 1, cause, deterministic=True)

    if database.dialect.name == "postgresql":
        repeat_all(database)

        @event.listens_for(database, "connect")
        def _session(connection: Any, record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute(_SESSION, [str(max(1, min(round(statement_timeout_s * 1000), LONGEST_TIMEOUT_MS)))])
            *_, distributed, served_by = cursor.fetchone()
            pooled = served_by != connection.get_backend_pid()  # a pooler answered the connection
            if not distributed:
                cursor.execute(FIND_ALL_TENANTS if pooled else TAKE_ALL_TENANTS)
                if pooled and (found := cursor.fetchone()):  # a pooler gives the session to others
                    record.info[ROLE_OF_QUERIES] = found[0]
            cursor.close()
            citus.found(database, distributed=distributed)
            if distributed:
                record.info[POOLED] = inf  # the time is written into each statement, so none can be prepared
            if pooled and isinstance(database.pool, SharedPool):
                database.pool.lasts(record.info)


class UtcDateTime(TypeDecorator[datetime]):
    """A timestamp, always in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def stored_moment(moment: datetime, database: Database) -> datetime | str:
    """Return a timestamp in the form that the driver stores, for statements that pass their values unchanged."""
    moment = moment.astimezone(UTC)
    # Not strftime, which writes the year 1 with one digit: SQLite reads that as no time.
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds") if database.dialect.name == "sqlite" else moment


class Json(TypeDecorator[Any]):
    """Any JSON value; JSONB on PostgreSQL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        kind = JSONB if dialect.name == "postgresql" else JSON
        return dialect.type_descriptor(kind(none_as_null=True))


class Words(TypeDecorator[str]):
    """A text from a participant or a person, shortened to LONGEST_LINE characters when it is read.

    An earlier release may have stored a longer text, because it had no bound.
    """

    impl = String
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002
        return value if value is None else shortened(value, LONGEST_LINE)


_Value = TypeVar("_Value")


class _SqlFunction(FunctionElement[_Value]):
    """An SQL expression, written once for each database. {0} and {1} stand for its arguments."""

    inherit_cache = True
    postgresql: ClassVar[str]
    sqlite: ClassVar[str]


@compiles(_SqlFunction, "postgresql")
def _for_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return str(element.postgresql).format(*(compiler.process(clause, **options) for clause in element.clauses))


@compiles(_SqlFunction, "sqlite")
def _for_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return str(element.sqlite).format(*(compiler.process(clause, **options) for clause in element.clauses))


#: Seconds of a day.
DAY_S = 86_400.0

# SQLAlchemy stores a timestamp on SQLite as a text with six fraction digits, so the expressions return such texts.


class in_seconds(_SqlFunction[datetime]):  # noqa: N801  named like a function of SQL
    """`in_seconds(delay)`: the database's clock plus a delay in seconds; NULL for a NULL delay.

    On PostgreSQL the value is constant within a statement, so a comparison with it can use an index.
    """

    type = UtcDateTime()
    inherit_cache = True
    postgresql = "(statement_timestamp() + make_interval(secs => {0}))"
    sqlite = "(strftime('%Y-%m-%d %H:%M:%f', 'now', ({0}) || ' seconds') || '000')"


class db_now(_SqlFunction[datetime]):  # noqa: N801
    """`db_now()`: the database's clock at the start of the statement."""

    type = UtcDateTime()
    inherit_cache = True
    postgresql = "statement_timestamp()"
    sqlite = "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


class later_of(_SqlFunction[datetime]):  # noqa: N801
    """`later_of(moment, moment)`: the later of two timestamps. Pass no NULL: the databases treat it differently."""

    type = UtcDateTime()
    inherit_cache = True
    postgresql = "greatest({0}, {1})"
    sqlite = "max({0}, {1})"


class minute_of(_SqlFunction[datetime]):  # noqa: N801
    """`minute_of(moment)`: the start of the minute that contains a timestamp."""

    type = UtcDateTime()
    inherit_cache = True
    postgresql = "date_trunc('minute', {0})"
    sqlite = "strftime('%Y-%m-%d %H:%M:00.000000', {0})"


class hour_of(_SqlFunction[datetime]):  # noqa: N801
    """`hour_of(moment)`: the start of the hour that contains a timestamp."""

    type = UtcDateTime()
    inherit_cache = True
    postgresql = "date_trunc('hour', {0})"
    sqlite = "strftime('%Y-%m-%d %H:00:00.000000', {0})"


class seconds_until(_SqlFunction[float]):  # noqa: N801
    """`seconds_until(moment)`: seconds from now, on the database's clock, to a timestamp; NULL for NULL."""

    type = Double()
    inherit_cache = True
    postgresql = "extract(epoch FROM {0} - statement_timestamp())::float8"
    sqlite = "((julianday({0}) - julianday('now')) * 86400.0)"


class seconds_between(_SqlFunction[float]):  # noqa: N801
    """`seconds_between(earlier, later)`: the difference of two timestamps in seconds."""

    type = Double()
    inherit_cache = True
    postgresql = "extract(epoch FROM {1} - {0})::float8"
    sqlite = "((julianday({1}) - julianday({0})) * 86400.0)"


class part_of(_SqlFunction[int]):  # noqa: N801
    """`part_of(since, moment, part_s)`: the part of a time window in which a timestamp lies, counted from 0."""

    type = Integer()
    inherit_cache = True
    postgresql = "floor(extract(epoch FROM {1} - {0}) / {2})::int"
    sqlite = "cast((julianday({1}) - julianday({0})) * 86400.0 / {2} AS integer)"


class cause_of(_SqlFunction[str]):  # noqa: N801
    """`cause_of(error)`: the error without ids and numbers, see `app.store.causes.cause`."""

    type = String()
    inherit_cache = True
    _last = "regexp_replace({0}, '^([^:]*: [^:]*: ).*; the last attempt: ', '\\1')"
    postgresql = (
        f"(coalesce(substring({_last} FROM ': ([1-5][0-9][0-9])( |$)'), '') || '|' || regexp_replace("
        f"regexp_replace({_last}, '[0-9A-Za-z_-]*[0-9][0-9A-Za-z_-]*', '#', 'g'), '#([.,:]#)+', '#', 'g'))"
    )
    sqlite = "saga_cause({0})"


class folded(_SqlFunction[str]):  # noqa: N801
    """`folded(text)`: the text in small letters, in the order of its bytes, so that an index finds its beginning.

    SQLite knows the small letters of ASCII only.
    """

    type = String()
    inherit_cache = True
    postgresql = '(lower({0}) COLLATE "C")'
    sqlite = "lower({0})"


class id_end(_SqlFunction[str]):  # noqa: N801
    """`id_end(id)`: the last eight digits of a UUID, which migration 0036 indexes for sagas."""

    type = String()
    inherit_cache = True
    postgresql = '(right({0}::text, 8) COLLATE "C")'
    sqlite = "substr({0}, -8)"


class place_in(_SqlFunction[int]):  # noqa: N801
    """`place_in(text, part)`: where the part begins in the text, from 1, in any letter case; 0: nowhere."""

    type = Integer()
    inherit_cache = True
    postgresql = "strpos(lower({0}), lower({1}))"
    sqlite = "instr(lower({0}), lower({1}))"
