"""Connections that the engine keeps: to borrow one from SQLAlchemy's pool takes half as long as to use it."""

import time
from collections import deque
from queue import Empty, SimpleQueue

from sqlalchemy import Engine, PoolProxiedConnection, QueuePool, event
from sqlalchemy.exc import TimeoutError as NoTurnError

from app.store.database import ended

#: One that was just in use is there; a server that restarts takes longer.
TRUSTED_S = 0.1
#: So long a thread waits for its turn; nobody has a connection for longer than a statement.
PATIENCE_S = 30.0


class Connections:
    """Taken out of the engine's pool and not given back: as many as that keeps. What it makes beyond them in a rush is
    for all other uses. Threads beyond that number wait for their turn, first come, first served.
    """

    def __init__(self, engine: Engine) -> None:
        assert isinstance(engine.pool, QueuePool)
        self.engine = engine
        self._turns = SimpleQueue[None]()
        for _ in range(engine.pool.size()):
            self._turns.put(None)
        # The one used last is used next: its server has everything at hand.
        self._idle: deque[tuple[PoolProxiedConnection, float]] = deque()
        event.listen(engine, "engine_disposed", lambda _engine: self._end())

    def take(self) -> PoolProxiedConnection:
        """Give one that nobody else uses, and whose server was there a moment ago. Raises the driver's errors, and
        NoTurnError when all have been in use for all the time that one waits.
        """
        try:
            self._turns.get(timeout=PATIENCE_S)
        except Empty:
            raise NoTurnError(f"no connection to the database came free within {PATIENCE_S:g} s") from None
        try:
            return self._there() or self.engine.raw_connection()
        except BaseException:
            self._turns.put(None)
            raise

    def give_back(self, connection: PoolProxiedConnection) -> None:
        if connection.is_valid:
            self._idle.append((connection, time.monotonic()))
        else:
            connection.close()
        self._turns.put(None)

    def _there(self) -> PoolProxiedConnection | None:
        try:
            while True:
                connection, used = self._idle.pop()
                if time.monotonic() - used < TRUSTED_S or not ended(connection):
                    return connection
                connection.invalidate()
        except IndexError:
            return None

    def _end(self) -> None:
        while self._idle:
            self._idle.pop()[0].invalidate()
