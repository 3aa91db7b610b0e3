"""The database connections of one process: a limited number, shared by all threads, and closed when idle."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from math import inf
from select import POLLIN, poll
from typing import Any
from weakref import ref

from sqlalchemy import Pool
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.pool import ConnectionPoolEntry

#: Longest wait of a thread for a connection, in seconds. Statements take milliseconds, so a longer wait means a fault.
CONNECTION_WAIT_S = 30.0
#: Seconds after which an idle connection is closed, because all processes share the server's limited connections.
IDLE_S = 3.0
#: Lifetime of a connection behind a pooler such as PgBouncer, in seconds. In session mode, a pooler serves a waiting
#: client only after another client has disconnected, so even a busy connection must be closed from time to time.
POOLED_S = 2.0
#: Key in a connection's `info` for the end of the lifetime of a connection behind a pooler, on the pool's clock.
POOLED = "lasts_until"
#: Seconds after which an idle connection behind a pooler is closed. Another process may need its place, and a pooler
#: makes new connections quickly.
POOLED_IDLE_S = 0.5
#: Seconds between two checks for idle connections.
_IDLE_CHECK_S = 0.5
#: Seconds between two tries to open a connection when the server refuses connections.
_CONNECT_RETRY_S = 0.5


class Reader:
    """A request that only reads."""

    #: Number of connections that the request holds.
    held = 0


#: The request that this thread serves, if it only reads.
READER: ContextVar[Reader | None] = ContextVar("reader", default=None)


class SharedPool(Pool):
    """Up to `pool_size + max_overflow` connections. The last used connection is used next, so the others become idle.

    Requests that only read get at most a third of them, so slow reads delay no saga. When the server refuses a new
    connection, a thread waits for an existing connection of this process.
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
        #: Objects that hold connections of this pool. `lend()` gives one idle connection back to the pool, and
        #: `give_back_idle(idle_s)` gives back all that have been idle for more than `idle_s` seconds.
        self.keepers: list[Any] = [] if keepers is None else keepers
        #: wanted: number of threads that wait for a connection while the server refuses new ones. behind_pooler: True
        #: once a connection was found to go through a pooler.
        self.wanted, self.behind_pooler = 0, False
        self._made = 0
        self._most_readers = max(1, (pool_size + max_overflow) // 3)
        self._reads = threading.Semaphore(self._most_readers)
        #: Identity of a connection that a reader holds → the reader.
        self._read: dict[int, Reader] = {}
        self._idle: deque[tuple[ConnectionPoolEntry, float]] = deque()
        self._changed, self._disposed = threading.Condition(), threading.Event()
        self._watched = idle_s == inf

    def size(self) -> int:
        """Return the number of connections that a keeper can take out of the pool."""
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
        """Close the connections that have been idle for the pool's limit, also those of its keepers."""
        idle_s = min(self._idle_s, POOLED_IDLE_S) if self.behind_pooler else self._idle_s
        for keeper in self.keepers:
            keeper.give_back_idle(idle_s)
        while (record := self._pop(unused_since=self.clock() - idle_s)) is not None:
            self._close(record)

    def retired(self, info: Any) -> bool:
        """Return True when a connection has reached the end of its lifetime. info: the connection's `info`."""
        return bool(self.clock() >= info.get(POOLED, inf))

    def lasts(self, info: Any) -> None:
        """Set the lifetime of a connection that goes through a pooler. info: the connection's `info`."""
        self.behind_pooler = True
        info[POOLED] = self.clock() + POOLED_S

    def _do_get(self) -> ConnectionPoolEntry:
        until = self.clock() + self._timeout
        reader = READER.get()
        if reader is None or reader.held:  # a second connection must not wait for other readers: they may wait as well
            return self._connection(until)
        if not self._reads.acquire(timeout=self._timeout):
            raise NoConnectionError(f"none of {self._most_readers} connections for reads came free")
        try:
            record = self._connection(until)
        except BaseException:
            self._reads.release()
            raise
        reader.held += 1
        self._read[id(record)] = reader
        return record

    def _connection(self, until: float) -> ConnectionPoolEntry:
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
            except Exception as error:  # noqa: BLE001  `_idle_of_others` raises it if no other connection exists
                self._forget()
                refused = error

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if (reader := self._read.pop(id(record), None)) is not None:
            reader.held -= 1
            self._reads.release()
        if record.dbapi_connection is None or self.retired(record.info):
            self._close(record)
            return
        with self._changed:
            self._idle.append((record, self.clock()))
            self._changed.notify()

    def _idle_or_place(self, until: float) -> ConnectionPoolEntry | None:
        """Wait for an idle connection and return it. Return None when the caller can open a new one."""
        most = self._size + self._overflow
        with self._changed:
            if not self._changed.wait_for(lambda: self._idle or self._made < most, until - self.clock()):
                raise NoConnectionError(f"none of {most} connections to the database came free")
            if self._idle:
                return self._idle.pop()[0]
            self._made += 1
            return None

    def _idle_of_others(self, refused: Exception, until: float) -> ConnectionPoolEntry | None:
        """Wait for an existing connection of this process after the server has refused a new one.

        Return the connection; None: the caller must try again to open one. Raise `refused` when this process has no
        connection, or when the time is over.
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
        """Start the thread that closes idle connections, unless it runs already."""
        with self._changed:
            if self._watched:
                return
            self._watched = True
        # A daemon thread with a weak reference, so that it does not keep the process or the pool alive.
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
    """Return True when the server has closed an idle connection of the driver. SQLite has no server.

    An idle connection becomes readable only when the server closes it. This check sends nothing, so it is faster than a
    query. `poll` is used because `select` refuses file descriptors above 1023.
    """
    if not hasattr(connection, "fileno"):
        return False
    readable = poll()
    readable.register(connection, POLLIN)
    return bool(readable.poll(0))


def _close_idle(pool: "ref[SharedPool]", disposed: threading.Event) -> None:
    while not disposed.wait(_IDLE_CHECK_S):
        if (alive := pool()) is None:
            return
        alive.close_idle()
        del alive
