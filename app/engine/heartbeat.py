"""The heartbeat of this process: proof to the database, and to /ready, that the process can do its work."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from app.store.database_errors import Meaning, in_one_line, meaning
from app.store.leases import Replicas
from app.store.processes import WEB

_log = structlog.get_logger("runner")
#: Seconds after a failed commit during which /ready reports this process as not ready, even if its heartbeat succeeds.
UNWELL_FOR_S = 10.0


class Heartbeat:
    """The heartbeat of this process, and its current problem with the database in one line, as `last_error`.

    report: returns what this process sees of each participant; it is written with the heartbeat.
    """

    def __init__(
        self, replicas: Replicas, clock: Callable[[], float] = time.monotonic,
        report: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:  # fmt: skip
        self._replicas, self._clock, self._report = replicas, clock, report
        #: `web` or `worker`, as the list of processes shows it.
        self.role = WEB
        self._compared = False  # True: the connections of all processes were compared with the server's limit
        self._silent: str | None = None
        self.refused: str | None = None  # why this process must not run sagas; only a restart clears it
        self._failed: tuple[float, str] | None = None

    @property
    def last_error(self) -> str | None:
        failed = self._failed
        recent = failed[1] if failed and self._clock() - failed[0] < UNWELL_FOR_S else None
        return self.refused or self._silent or recent

    def beat(self) -> None:
        """Write the heartbeat of this process. Raise the database's error, and keep it for `last_error`."""
        try:
            self._replicas.beat(self._report(), self.role)
            self._compare_connections()
        except Exception as error:
            if meaning(error) is not Meaning.BUSY:
                self._silent = in_one_line(error)
            raise
        self._silent = None

    def _compare_connections(self) -> None:
        """Warn once, at the start, when all processes together may open more connections than the server accepts.

        First delete the rows of processes that were killed long ago.
        """
        if self._compared:
            return
        _try(self._replicas.forget_silent)
        running = self._replicas.running()
        self._compared = True
        if running.too_many:
            _log.warning(
                "database.connections_short",
                connections=running.connections,
                allowed=running.allowed,
                processes=running.count,
                remedy="lower DATABASE_CONNECTIONS, raise max_connections, or use pgbouncer",
            )

    def failed(self, error: Exception) -> None:
        """Keep an error for `last_error` if it means that the database cannot be reached. Ignore every other error."""
        if meaning(error) is Meaning.AWAY:
            self._failed = self._clock(), in_one_line(error)

    def end(self) -> None:
        """Remove this process from the list of replicas, if the database can be reached."""
        _try(self._replicas.leave)


def _try(remove: Callable[[], None]) -> None:
    """Remove processes from the list. Only log an error: nothing depends on the rows of processes that have ended."""
    try:
        remove()
    except Exception as error:  # noqa: BLE001  the list drops silent processes after a while
        _log.warning("replica.not_removed", error=in_one_line(error))
