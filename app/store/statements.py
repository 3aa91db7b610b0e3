"""The engine's own statements: compiled once, and prepared once on each connection.

SQLAlchemy writes them and its pool gives the connection; what it would do for each execution beyond that takes as
long as the statement itself.
"""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ClauseElement, Engine, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError

_NAMED = re.compile(r"%\((\w+)\)s")


class Statement:
    """One statement on one engine, in autocommit. Its values are what the driver takes as it is."""

    def __init__(self, name: str, clause: ClauseElement, engine: Engine) -> None:
        self._engine, self._name = engine, name
        compiled = clause.compile(dialect=engine.dialect)
        self.sql = str(compiled)
        self._constants = {key: value for key, value in (compiled.params or {}).items() if value is not None}
        self._positions: list[str] | None = getattr(compiled, "positiontup", None)
        names = list(dict.fromkeys(_NAMED.findall(self.sql)))
        self._prepare = f"PREPARE {name} AS " + _NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", self.sql)
        self._execute = f"EXECUTE {name} ({', '.join(f'%({key})s' for key in names)})"

    def run(self, values: Mapping[str, Any]) -> int:
        """Return how many rows it changed. Raises SQLAlchemy's errors."""
        connection: PoolProxiedConnection | None = None
        dialect = self._engine.dialect
        errors = dialect.loaded_dbapi.Error
        try:
            connection = self._engine.raw_connection()
            return self._run_on(connection, {**self._constants, **values})
        except errors as error:
            lost = connection is not None and dialect.is_disconnect(error, connection.dbapi_connection, None)
            if connection is not None and lost:
                connection.invalidate(error)
            raise DBAPIError.instance(
                self.sql, None, error, errors, hide_parameters=True, connection_invalidated=lost, dialect=dialect
            ) from error
        finally:
            if connection is not None:
                connection.close()

    def _run_on(self, connection: PoolProxiedConnection, values: Mapping[str, Any]) -> int:
        cursor = connection.cursor()
        if self._positions is not None:  # SQLite, which prepares by itself
            cursor.execute(self.sql, [values[name] for name in self._positions])
        else:
            if self._name not in connection.info:
                cursor.execute(self._prepare)
                connection.info[self._name] = True
            cursor.execute(self._execute, values)
        changed: int = cursor.rowcount
        cursor.close()
        return changed
