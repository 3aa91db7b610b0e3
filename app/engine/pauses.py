"""The paused participants, as this process knows them: read with each heartbeat from the database."""

from collections.abc import Callable, Sequence

from app.store.audit import Entry
from app.store.lists import StateKey
from app.store.participants import ParticipantStore


class Pauses:
    """Pauses and resumes participants. Another process follows with its next heartbeat.

    on_end: called when a pause has ended.
    """

    def __init__(self, store: ParticipantStore, on_end: Callable[[], object] = lambda: None) -> None:
        self._store, self._on_end = store, on_end
        self._names: frozenset[str] | None = None

    def holds(self, name: str) -> bool:
        """Return True when no call is to be sent to a participant.

        A known pause is read again, so that its end reaches every process before the next call. The pauses are read at
        the first use, so that no call is sent before.
        """
        if self._names is not None and name not in self._names:
            return False
        self.learn()
        return name in (self._names or ())

    @property
    def names(self) -> frozenset[str]:
        """The paused participants, as this process knows them. Reading them costs no query, except the first time."""
        if self._names is None:
            self.learn()
        return self._names or frozenset()

    def learn(self) -> None:
        """Read the paused participants. The runner calls this method with each heartbeat."""
        before, self._names = self._names, frozenset(self._store.paused())
        if before and not before <= self._names:
            self._on_end()

    def pause(self, name: str, entry: Entry) -> None:
        """Send no calls to a participant until it is resumed. Raise ConflictError when it is paused already."""
        self._store.pause(name, entry)
        self.learn()

    def resume(
        self, name: str, entry: Entry, waiting_in: Sequence[StateKey], spread_s: Callable[[int], float]
    ) -> tuple[int, float]:
        """Send calls to a participant again. The arguments, the result and the errors are those of the store."""
        due = self._store.resume(name, entry, waiting_in, spread_s)
        self.learn()
        return due
