"""The few statements that the engine runs most often, and the connections for them.

SQLAlchemy compiles each statement once, and each connection prepares it once. The driver then executes it directly,
because SQLAlchemy's work for an execution takes as long as the statement itself. The engine keeps connections out of
SQLAlchemy's pool, because borrowing a connection takes half as long as the statement.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import inf
from operator import itemgetter
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import ClauseElement, Connection, PoolProxiedConnection, event
from sqlalchemy import Engine as Database
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from app.store.citus import known, with_time
from app.store.database_errors import UNPREPARED, sqlstate
from app.store.pool import CONNECTION_WAIT_S, POOLED, SharedPool, ended
from app.store.transactions import repeat

#: For this many seconds after its last use, a connection is used without a check. A server takes longer to restart.
TRUSTED_S = 0.1


class Connections:
    """Connections that the engine takes out of SQLAlchemy's pool.

    The engine takes at most `pool.size()`, half of the pool. When all are in use, threads wait for a connection in the
    order of their arrival. A connection returns to the pool when it has been idle for a while, and at once when the
    server refuses a new connection of the pool.
    """

    def __init__(self, database: Database) -> None:
        assert isinstance(database.pool, SharedPool)
        self.database, self._pool, self._clock = database, database.pool, database.pool.clock
        self._turns = SimpleQueue[None]()
        for _ in range(database.pool.size()):
            self._turns.put(None)
        # The last used connection is used next, because its server process has the statements and rows in its caches.
        self._idle: deque[tuple[PoolProxiedConnection, float]] = deque()
        database.pool.keepers.append(self)
        event.listen(database, "engine_disposed", lambda _database: self._end())

    def take(self) -> PoolProxiedConnection:
        """Return an open connection for this thread alone.

        Raise the driver's error when no connection can be opened, and NoConnectionError when none came free within
        CONNECTION_WAIT_S.
        """
        try:
            self._turns.get(timeout=CONNECTION_WAIT_S)
        except Empty:
            raise NoConnectionError(f"no connection to the database came free within {CONNECTION_WAIT_S:g} s") from None
        try:
            return self._there() or self.database.raw_connection()
        except BaseException:
            self._turns.put(None)
            raise

    def give_back(self, connection: PoolProxiedConnection) -> None:
        pool = self._pool
        if connection.is_valid and not (pool.wanted or (pool.behind_pooler and pool.retired(connection.info))):
            self._idle.append((connection, self._clock()))
        else:
            connection.close()
        self._turns.put(None)

    def lend(self) -> bool:
        """Return an idle connection to the pool, where a thread waits for it.

        Return False when no connection is idle.
        """
        try:
            self._idle.pop()[0].close()
        except IndexError:
            return False
        return True

    def give_back_idle(self, idle_s: float) -> None:
        """Return to the pool the connections that have been idle for more than `idle_s` seconds."""
        try:
            while self._clock() - self._idle[0][1] > idle_s:
                self._idle.popleft()[0].close()
        except IndexError:
            return

    def _there(self) -> PoolProxiedConnection | None:
        try:
            while True:
                connection, used = self._idle.pop()
                if self._clock() - used < TRUSTED_S or not ended(connection):
                    return connection
                connection.invalidate()
        except IndexError:
            return None

    def _end(self) -> None:
        """Close all idle connections after a dispose of the database, and use its new pool from now on."""
        while self._idle:
            self._idle.pop()[0].invalidate()
        assert isinstance(self.database.pool, SharedPool)
        self._pool = self.database.pool


_NAMED = re.compile(r"%\((\w+)\)s")
#: Key in a connection's `info` for its cursor. Each connection keeps one cursor, because a new cursor takes a tenth of
#: the time of a statement.
_CURSOR = "cursor"


_Result = TypeVar("_Result")


def _changed(cursor: Any) -> int:
    changed: int = cursor.rowcount
    return changed


def _rows(cursor: Any) -> Sequence[tuple[Any, ...]]:
    rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
    return rows


class Statement:
    """One statement for one database, in autocommit. The driver gets its values unchanged."""

    def __init__(self, name: str, clause: ClauseElement, connections: Connections) -> None:
        self._connections, self._name = connections, name
        self._dialect = connections.database.dialect
        self._errors: Any = self._dialect.loaded_dbapi.Error
        compiled: Any = clause.compile(dialect=self._dialect)
        self.sql = str(compiled)
        constants = [name for name, value in compiled.params.items() if value is not None]
        assert not constants, f"they are written out, and not sent each time: {constants}"
        self._names: list[str] = compiled.positiontup or list(dict.fromkeys(_NAMED.findall(self.sql)))
        # itemgetter of one name returns no tuple
        self._in_order = itemgetter(*self._names) if len(self._names) > 1 else self._only
        self._prepare, self._execute = "", self.sql  # SQLite: the driver prepares each statement by itself
        if self._dialect.name == "postgresql":
            placed = _NAMED.sub(lambda found: f"${self._names.index(found[1]) + 1}", self.sql)
            self._prepare = f"PREPARE {name} AS {placed}"
            self._execute = f"EXECUTE {name} ({', '.join(['%s'] * len(self._names))})"

    def run(self, values: Mapping[str, Any]) -> int:
        """Execute the statement and return the number of changed rows. Raise SQLAlchemy's errors."""
        return self._with_connection(values, _changed)

    def fetch(self, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Execute the statement and return its rows. Raise SQLAlchemy's errors."""
        return self._with_connection(values, _rows)

    def _only(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return (values[self._names[0]],)

    def _with_connection(self, values: Mapping[str, Any], result: Callable[[Any], _Result]) -> _Result:
        connection: PoolProxiedConnection | None = None
        try:
            connection = self._connections.take()
            return result(self._run_on(connection, values))
        except self._errors as error:
            raise self._translated(error, connection) from error
        finally:
            if connection is not None:
                self._connections.give_back(connection)

    def run_within(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Execute the statement as `run` does, but on a connection with an open transaction."""
        try:
            return _changed(self._run_on(connection.connection, values))
        except self._errors as error:
            raise self._translated(error, connection.connection) from error

    def _translated(self, error: Any, connection: PoolProxiedConnection | None) -> DBAPIError:
        """Return a driver's error as SQLAlchemy's error. Invalidate a lost connection, so that it is not used again."""
        dialect = self._dialect
        lost = connection is not None and dialect.is_disconnect(error, connection.dbapi_connection, None)
        if connection is not None and lost:
            connection.invalidate(error)
        translated: DBAPIError = DBAPIError.instance(
            self.sql, None, error, self._errors, hide_parameters=True, connection_invalidated=lost, dialect=dialect
        )
        return translated

    def _run_on(self, connection: PoolProxiedConnection, values: Mapping[str, Any]) -> Any:
        cursor = connection.info.get(_CURSOR)
        if cursor is None:
            cursor = connection.info[_CURSOR] = connection.cursor()
        try:
            self._execute_on(cursor, connection.info, values)
        except self._errors as error:
            if sqlstate(error) in UNPREPARED:  # a pooler that the check of the connection did not find
                connection.info[POOLED] = inf
            repeat(error, cursor, lambda: self._execute_on(cursor, connection.info, values))
        return cursor

    def _execute_on(self, cursor: Any, info: Any, values: Mapping[str, Any]) -> None:
        if self._prepare and POOLED in info:  # behind a pooler the next server may not have the prepared statement
            cursor.execute(with_time(self.sql, cursor) if known(self._dialect) else self.sql, values)
            return
        if self._prepare and self._name not in info:
            cursor.execute(self._prepare)
            info[self._name] = True
        cursor.execute(self._execute, self._in_order(values))
