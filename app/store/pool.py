"""The database connections of one process: a limited number, shared by all users, and closed when idle."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf
from select import select
from typing import Any
from weakref import ref

from sqlalchemy import Pool
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.pool import ConnectionPoolEntry

#: Seconds after which a thread that gets no connection gives up; a statement takes milliseconds.
CONNECTION_WAIT_S = 30.0
#: Seconds after which an idle connection is closed: other processes may need its place at the server.
IDLE_S = 3.0
#: Lifetime of a connection behind a pooler, in seconds. A pooler in session mode serves a waiting client only after
#: another client has disconnected, and a connection in constant use would never disconnect.
POOLED_S = 2.0
#: Key in a connection's info: when a connection behind a pooler is retired, on the pool's clock.
POOLED = "lasts_until"
#: Seconds after which an idle connection behind a pooler is closed: a new one is cheap, and others may wait for its
#: server.
POOLED_IDLE_S = 0.5
#: Seconds between two checks for idle connections.
_IDLE_CHECK_S = 0.5
#: Seconds between two tries to make a connection that the server has refused.
_CONNECT_RETRY_S = 0.5


class SharedPool(Pool):
    """Up to `pool_size + max_overflow` connections. The one used last is used next, so that the others become idle.

    When the server refuses another connection, a user waits for one of this process.
    """

    def __init__(  # noqa: PLR0917  SQLAlchemy finds the names of the arguments in this list
        self,
        creator: Any,
        pool_size: int = 5,
        max_overflow: int = 5,
        timeout: float = CONNECTION_WAIT_S,
        idle_s: float = IDLE_S,
        clock: Callable[[], float] = time.monotonic,
        keepers: list[Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(creator, **options)
        self._creation, self._options = creator, options
        self._size, self._overflow, self._timeout = pool_size, max_overflow, timeout
        self._idle_s, self.clock = idle_s, clock
        #: Objects that keep connections for themselves. Each has `lend()`, which returns an idle connection at once,
        #: and `give_back_idle(idle_s)`.
        self.keepers: list[Any] = [] if keepers is None else keepers
        #: wanted: users that wait although a keeper may have an idle connection. behind_pooler: set by the first
        #: connection that turns out to go through a pooler.
        self.wanted, self.behind_pooler = 0, False
        self._made = 0
        self._idle: deque[tuple[ConnectionPoolEntry, float]] = deque()
        self._changed, self._disposed = threading.Condition(), threading.Event()
        self._watched = idle_s == inf

    def size(self) -> int:
        """Return the number of connections that the engine may keep for itself."""
        return self._size

    def made(self) -> int:
        """Return the number of open connections."""
        return self._made

    def checkedout(self) -> int:
        return self._made - len(self._idle)

    def status(self) -> str:
        return f"{self._made} connections of at most {self._size + self._overflow}, {len(self._idle)} idle"

    def recreate(self) -> "SharedPool":
        return SharedPool(
            self._creation,
            self._size,
            self._overflow,
            self._timeout,
            self._idle_s,
            self.clock,
            self.keepers,
            **self._options | {"_dispatch": self.dispatch},
        )

    def dispose(self) -> None:
        self._disposed.set()
        while (record := self._pop()) is not None:
            self._close(record)

    def close_idle(self) -> None:
        """Close the connections that were idle for a while."""
        idle_s = min(self._idle_s, POOLED_IDLE_S) if self.behind_pooler else self._idle_s
        for keeper in self.keepers:
            keeper.give_back_idle(idle_s)
        while (record := self._pop(unused_since=self.clock() - idle_s)) is not None:
            self._close(record)

    def retired(self, info: Any) -> bool:
        """Return True when the connection with this info has reached the end of its lifetime."""
        return bool(self.clock() >= info.get(POOLED, inf))

    def lasts(self, info: Any) -> None:
        """Record that the connection goes through a pooler, and set its lifetime."""
        self.behind_pooler = True
        info[POOLED] = self.clock() + POOLED_S

    def _do_get(self) -> ConnectionPoolEntry:
        until = self.clock() + self._timeout
        refused: Exception | None = None
        while True:
            record = self._idle_or_place(until) if refused is None else self._idle_of_others(refused, until)
            refused = None
            if record is not None:
                if record.dbapi_connection is not None and not ended(record.dbapi_connection):
                    return record
                self._close(record)
                continue
            try:
                self._watch()
                return self._create_connection()
            except Exception as error:  # noqa: BLE001  raised unless this process has another connection
                self._forget()
                refused = error

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if record.dbapi_connection is None or self.retired(record.info):
            self._close(record)
            return
        with self._changed:
            self._idle.append((record, self.clock()))
            self._changed.notify()

    def _idle_or_place(self, until: float) -> ConnectionPoolEntry | None:
        """Return an idle connection, or None when the caller may make one."""
        most = self._size + self._overflow
        with self._changed:
            if not self._changed.wait_for(lambda: self._idle or self._made < most, until - self.clock()):
                raise NoConnectionError(f"none of {most} connections to the database came free")
            if self._idle:
                return self._idle.pop()[0]
            self._made += 1
            return None

    def _idle_of_others(self, refused: Exception, until: float) -> ConnectionPoolEntry | None:
        """Return a connection of this process, because the server refuses a new one. None: try again to make one.

        Raise the refusal when this process has no connection.
        """
        with self._changed:
            self.wanted += 1
        any(keeper.lend() for keeper in self.keepers)
        with self._changed:
            self._changed.wait_for(lambda: self._idle or not self._made, min(until - self.clock(), _CONNECT_RETRY_S))
            self.wanted -= 1
            if self._idle:
                return self._idle.pop()[0]
            if not self._made or self.clock() >= until:
                raise refused
            self._made += 1
            return None

    def _watch(self) -> None:
        """Start the thread that closes idle connections, also while no connection is requested."""
        with self._changed:
            if self._watched:
                return
            self._watched = True
        # A daemon that does not keep the pool alive: a process that ends closes its connections anyway.
        watching = threading.Thread(target=_close_idle, args=(ref(self), self._disposed), name="idle", daemon=True)
        watching.start()

    def _pop(self, unused_since: float = inf) -> ConnectionPoolEntry | None:
        with self._changed, suppress(IndexError):
            if self._idle[0][1] < unused_since:
                return self._idle.popleft()[0]
        return None

    def _close(self, record: ConnectionPoolEntry) -> None:
        record.close()
        self._forget()

    def _forget(self) -> None:
        with self._changed:
            self._made -= 1
            self._changed.notify_all()


def ended(connection: Any) -> bool:
    """Return True when the server of a driver's connection has gone. SQLite has no server.

    An idle connection becomes readable only when it ends. A query to the server would take as long as a statement.
    """
    return hasattr(connection, "fileno") and bool(select([connection], [], [], 0)[0])


def _close_idle(pool: "ref[SharedPool]", disposed: threading.Event) -> None:
    while not disposed.wait(_IDLE_CHECK_S):
        if (alive := pool()) is None:
            return
        alive.close_idle()
        del alive
