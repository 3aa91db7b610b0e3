"""Connections that the engine keeps: to borrow one from SQLAlchemy's pool takes half as long as to use it."""

import time
from collections import deque

from sqlalchemy import Engine, PoolProxiedConnection, QueuePool, event

from app.store.database import ended

#: One that was just in use is there; a server that restarts takes longer.
TRUSTED_S = 0.1


class Connections:
    """Taken out of the engine's pool and not given back: as many as that keeps. What it makes beyond them in a rush is
    for all other uses.
    """

    def __init__(self, engine: Engine) -> None:
        assert isinstance(engine.pool, QueuePool)
        self.engine, self._most = engine, engine.pool.size()
        self._idle: deque[tuple[PoolProxiedConnection, float]] = deque()
        event.listen(engine, "engine_disposed", lambda _engine: self._end())

    @property
    def idle(self) -> int:
        """How many nobody uses at this moment."""
        return len(self._idle)

    def take(self) -> PoolProxiedConnection:
        """Give one that nobody else uses, and whose server was there a moment ago. Raises the driver's errors."""
        try:
            while True:
                connection, used = self._idle.pop()
                if time.monotonic() - used < TRUSTED_S or not ended(connection):
                    return connection
                connection.invalidate()
        except IndexError:
            return self.engine.raw_connection()

    def give_back(self, connection: PoolProxiedConnection) -> None:
        if self.idle < self._most and connection.is_valid:
            self._idle.append((connection, time.monotonic()))
        else:
            connection.close()

    def _end(self) -> None:
        while self._idle:
            self._idle.pop()[0].invalidate()
