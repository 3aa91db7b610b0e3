"""The engine's own statements: compiled once, and prepared once on each connection.

SQLAlchemy builds them and its pool supplies the connection. Its other work for each execution would take as long as
the statement itself.
"""

import re
from collections.abc import Mapping
from math import inf
from operator import itemgetter
from typing import Any

from sqlalchemy import ClauseElement, Connection, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError

from app.store.connections import Connections
from app.store.database_errors import UNPREPARED, sqlstate
from app.store.pool import POOLED
from app.store.transaction_retry import repeat

_NAMED = re.compile(r"%\((\w+)\)s")
#: Key of a connection's cursor in its `info`. A cursor is kept as long as its connection, because each new one costs a
#: tenth of a statement.
_CURSOR = "cursor"


class Statement:
    """One statement on one engine, in autocommit. Its values are passed to the driver unchanged."""

    def __init__(self, name: str, clause: ClauseElement, connections: Connections) -> None:
        self._connections, self._name = connections, name
        self._dialect = connections.engine.dialect
        self._errors: Any = self._dialect.loaded_dbapi.Error
        compiled: Any = clause.compile(dialect=self._dialect)
        self.sql = str(compiled)
        constants = [name for name, value in compiled.params.items() if value is not None]
        assert not constants, f"they are written out, and not sent each time: {constants}"
        self._names: list[str] = compiled.positiontup or list(dict.fromkeys(_NAMED.findall(self.sql)))
        assert len(self._names) > 1, "itemgetter of one name returns no tuple"
        self._in_order = itemgetter(*self._names)
        self._prepare, self._execute = "", self.sql  # SQLite prepares by itself
        if self._dialect.name == "postgresql":
            placed = _NAMED.sub(lambda found: f"${self._names.index(found[1]) + 1}", self.sql)
            self._prepare = f"PREPARE {name} AS {placed}"
            self._execute = f"EXECUTE {name} ({', '.join(['%s'] * len(self._names))})"

    def run(self, values: Mapping[str, Any]) -> int:
        """Return the number of changed rows. Raise SQLAlchemy's errors."""
        connection: PoolProxiedConnection | None = None
        try:
            connection = self._connections.take()
            return self._run_on(connection, values)
        except self._errors as error:
            raise self._translated(error, connection) from error
        finally:
            if connection is not None:
                self._connections.give_back(connection)

    def run_within(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Do the same as `run` on a connection with an open transaction."""
        try:
            return self._run_on(connection.connection, values)
        except self._errors as error:
            raise self._translated(error, connection.connection) from error

    def _translated(self, error: Any, connection: PoolProxiedConnection | None) -> DBAPIError:
        """Return the error as SQLAlchemy raises it. A lost connection is invalidated, so that no one gets it again."""
        dialect = self._dialect
        lost = connection is not None and dialect.is_disconnect(error, connection.dbapi_connection, None)
        if connection is not None and lost:
            connection.invalidate(error)
        translated: DBAPIError = DBAPIError.instance(
            self.sql, None, error, self._errors, hide_parameters=True, connection_invalidated=lost, dialect=dialect
        )
        return translated

    def _run_on(self, connection: PoolProxiedConnection, values: Mapping[str, Any]) -> int:
        cursor = connection.info.get(_CURSOR)
        if cursor is None:
            cursor = connection.info[_CURSOR] = connection.cursor()
        try:
            self._execute_on(cursor, connection.info, values)
        except self._errors as error:
            if sqlstate(error) in UNPREPARED:  # a pooler that no other sign has shown
                connection.info[POOLED] = inf
            repeat(error, cursor, lambda: self._execute_on(cursor, connection.info, values))
        changed: int = cursor.rowcount
        return changed

    def _execute_on(self, cursor: Any, info: Any, values: Mapping[str, Any]) -> None:
        if self._prepare and POOLED in info:  # the next transaction may run on a server without it
            cursor.execute(self.sql, values)
            return
        if self._prepare and self._name not in info:
            cursor.execute(self._prepare)
            info[self._name] = True
        cursor.execute(self._execute, self._in_order(values))
