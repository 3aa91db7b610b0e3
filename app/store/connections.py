"""Connections that the engine keeps: to borrow one from SQLAlchemy's pool takes half as long as to use it."""

from collections import deque
from queue import Empty, SimpleQueue

from sqlalchemy import Engine, PoolProxiedConnection, event
from sqlalchemy.exc import TimeoutError as NoTurnError

from app.store.pool import PATIENCE_S, SharedPool, ended

#: One that was just in use is there; a server that restarts takes longer.
TRUSTED_S = 0.1


class Connections:
    """Taken out of the engine's pool, `pool.size()` of them at most, so that as many are left for all other uses.
    Threads beyond that number wait for their turn, first come, first served.

    They go back to the pool when nobody has used them for a while, and at once when the pool can make no other: the
    server may allow fewer than this process would take.
    """

    def __init__(self, engine: Engine) -> None:
        assert isinstance(engine.pool, SharedPool)
        self.engine, self._pool, self._clock = engine, engine.pool, engine.pool.clock
        self._turns = SimpleQueue[None]()
        for _ in range(engine.pool.size()):
            self._turns.put(None)
        # The one used last is used next: its server has everything at hand.
        self._idle: deque[tuple[PoolProxiedConnection, float]] = deque()
        engine.pool.keepers.append(self)
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
        pool = self._pool
        if connection.is_valid and not (pool.wanted or (pool.behind_pooler and pool.retired(connection.info))):
            self._idle.append((connection, self._clock()))
        else:
            connection.close()
        self._turns.put(None)

    def lend(self) -> bool:
        """Give an idle one to the pool, where somebody waits for it; False: there is none."""
        try:
            self._idle.pop()[0].close()
        except IndexError:
            return False
        return True

    def give_back_idle(self, idle_s: float) -> None:
        """Give those back to the pool that nobody has used for so long."""
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
        """The engine has a new pool: close what came from the old one."""
        while self._idle:
            self._idle.pop()[0].invalidate()
        assert isinstance(self.engine.pool, SharedPool)
        self._pool = self.engine.pool
