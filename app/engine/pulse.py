"""Is this process able to do its work? It proves so to the database, and tells /ready when it could not."""

import time
from collections.abc import Callable

import structlog

from app.store.database_errors import Meaning, in_one_line, meaning
from app.store.replicas import Replicas

_log = structlog.get_logger("runner")
#: For so long after a commit that failed this process says that it is not ready, even if its pulse goes on.
UNWELL_FOR_S = 10.0


class Pulse:
    """The last trouble with the database, in one line, until it is over."""

    def __init__(self, replicas: Replicas, clock: Callable[[], float] = time.monotonic) -> None:
        self._replicas, self._clock = replicas, clock
        self._silent: str | None = None
        self.refused: str | None = None  # why this process may not run sagas, until it is started anew
        self._failed: tuple[float, str] | None = None

    @property
    def trouble(self) -> str | None:
        failed = self._failed
        recent = failed[1] if failed and self._clock() - failed[0] < UNWELL_FOR_S else None
        return self.refused or self._silent or recent

    def beat(self) -> None:
        """Write that this process is alive. What the database says to it is kept, and raised."""
        try:
            self._replicas.beat()
        except Exception as error:
            if meaning(error) is not Meaning.BUSY:
                self._silent = in_one_line(error)
            raise
        self._silent = None

    def failed(self, error: Exception) -> None:
        """Take note of an error, if it says that the database is away. A statement's own fault says no such thing."""
        if meaning(error) is Meaning.AWAY:
            self._failed = self._clock(), in_one_line(error)

    def end(self) -> None:
        """Leave the list of replicas, if the database lets us."""
        try:
            self._replicas.leave()
        except Exception as error:  # noqa: BLE001  it is forgotten there after a while
            _log.warning("replica.not_removed", error=in_one_line(error))
