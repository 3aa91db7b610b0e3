"""Connections kept for the engine: borrowing one from SQLAlchemy's pool takes half as long as using it."""

from collections import deque
from queue import Empty, SimpleQueue

from sqlalchemy import Engine, PoolProxiedConnection, event
from sqlalchemy.exc import TimeoutError as NoTurnError

from app.store.pool import PATIENCE_S, SharedPool, ended

#: Seconds for which a used connection counts as alive without a check; a server takes longer to restart.
TRUSTED_S = 0.1


class Connections:
    """Connections taken out of the engine's pool, at most `pool.size()`, so that as many are left for other uses.

    Threads beyond that number wait for their turn, first come, first served. A connection returns to the pool when it
    was idle for a while, and at once when the pool cannot make another one: the server may allow fewer connections than
    this process would take.
    """

    def __init__(self, engine: Engine) -> None:
        assert isinstance(engine.pool, SharedPool)
        self.engine, self._pool, self._clock = engine, engine.pool, engine.pool.clock
        self._turns = SimpleQueue[None]()
        for _ in range(engine.pool.size()):
            self._turns.put(None)
        # The connection used last is used next: its server has everything cached.
        self._idle: deque[tuple[PoolProxiedConnection, float]] = deque()
        engine.pool.keepers.append(self)
        event.listen(engine, "engine_disposed", lambda _engine: self._end())

    def take(self) -> PoolProxiedConnection:
        """Return a connection that no other thread uses, with its server there a moment ago.

        Raise the driver's errors, and NoTurnError when no connection came free within PATIENCE_S.
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
        pool = self._pool
        if connection.is_valid and not (pool.wanted or (pool.behind_pooler and pool.retired(connection.info))):
            self._idle.append((connection, self._clock()))
        else:
            connection.close()
        self._turns.put(None)

    def lend(self) -> bool:
        """Return an idle connection to the pool, where a user waits for it. Return False when there is none."""
        try:
            self._idle.pop()[0].close()
        except IndexError:
            return False
        return True

    def give_back_idle(self, idle_s: float) -> None:
        """Return to the pool the connections that were idle for `idle_s` seconds."""
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
        """Close the connections of the old pool, because the engine has a new one."""
        while self._idle:
            self._idle.pop()[0].invalidate()
        assert isinstance(self.engine.pool, SharedPool)
        self._pool = self.engine.pool
