"""Two commits of one saga that meet on two connections of a real PostgreSQL: the second waits for the first one's lock.

The race is exact and needs no sleep: the first transaction stays open until the second one waits.
"""

import threading
from collections.abc import Callable
from uuid import UUID

import pytest

from app.errors import ConflictError, GoneError
from app.store.sagas import FencedError
from app.store.transactions import atomic
from machines.transitions import Trigger
from tests.integration.engine.passing import continue_due, pass_time
from tests.integration.engine.scene import Scene
from tests.support.waiting import eventually

HOUR = 3_600.0


class Second:
    """A commit in a thread of its own, which begins while another transaction holds the row of the saga."""

    def __init__(self, scene: Scene, commit: Callable[[], object]) -> None:
        self._scene, self._commit = scene, commit
        self._thread = threading.Thread(target=self._run)
        self.error: Exception | None = None

    def begin(self, *_: object) -> None:
        """Start the commit, and return when it waits for the lock."""
        self._thread.start()
        eventually(self._waits, "the second commit waits for the lock of the first one", 10)

    def end(self) -> Exception | None:
        """Return the error of the commit; None when it has succeeded."""
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.error

    def _waits(self) -> bool:
        return bool(self._scene.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))

    def _run(self) -> None:
        try:
            self._commit()
        except (ConflictError, FencedError, GoneError) as error:
            self.error = error


def in_the_next_save(scene: Scene, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let `act` happen once, after the engine's next save has written the saga's row and before it commits."""
    store, left = scene.engine.store, [act]
    for statement in (store._save, store._save_waiting, store._save_on):

        def within(connection, values, real=statement.run_within):
            changed = real(connection, values)
            if left:
                left.pop()()
            return changed

        def alone(values, within=within):
            with atomic(scene.database) as connection:
                return within(connection, values)

        monkeypatch.setattr(statement, "run_within", within)
        monkeypatch.setattr(statement, "run", alone)


def cancelled(scene: Scene, saga_id: UUID) -> Callable[[], object]:
    """Return the commit of a cancel by a request that has read the saga already."""
    saga = scene.engine.store.read(saga_id)
    scene.engine.request_move(saga, Trigger.CANCEL, "user:eve", "no need")
    return lambda: scene.engine.release(saga, 0.0)


def expired(scene: Scene, _saga_id: UUID) -> Callable[[], object]:
    """Return the commit of a process that has seen that the time is over."""
    pass_time(scene, HOUR + 1)
    holder = scene.recovered("holder")
    return lambda: scene.engine.run(holder, 0)


def settled(scene: Scene) -> str:
    """Let processes continue the saga until it is not due. Return its state."""
    while continue_due(scene):
        pass
    return str(scene.rows("SELECT state FROM saga")[0]["state"])
