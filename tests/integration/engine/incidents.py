"""What happens around the commits of sagas with children: crashes, other processes that run what is due, operators."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from app.errors import ConflictError, NotFoundError
from app.store.database import db_now
from app.store.instance import Instance
from app.store.models import SagaRow
from app.store.sagas import FencedError
from machines.saga import Saga
from tests.integration.engine.passing import Crash
from tests.integration.engine.scene import Scene


class Incidents:
    """What happens around the next commits.

    hits: returns True when the incident `cancel X` cancels the saga of a row; its arguments are X and the row.
    """

    def __init__(self, scene: Scene, drawn: Sequence[str], hits: Callable[[str, Mapping[str, Any]], bool]) -> None:
        self._scene, self._drawn, self._hits, self._crashes = scene, deque(drawn), hits, 0

    def happen(self) -> None:
        incident = self._drawn.popleft() if self._drawn else ""
        if incident == "crash" and self._crashes < 2:  # more crashes in one state would quarantine the saga
            self._crashes += 1
            raise Crash
        if incident == "leases end":
            end_leases(self._scene)
        if incident == "all wake":
            with self._scene.database.connect() as connection:
                waiting = SagaRow.status.in_(("waiting", "compensating")), SagaRow.owner.is_(None)
                connection.execute(update(SagaRow).where(*waiting).values(due_at=db_now()))
        if incident in ("others run", "leases end", "all wake"):
            for saga in self._scene.leases("another").claim(3, 30):
                with suppress(Crash, FencedError):
                    self._scene.engine.run(saga, 1000.0)
        elif incident.startswith("cancel "):
            self._cancel(incident.removeprefix("cancel "))

    def _cancel(self, whom: str) -> None:
        rows = self._scene.rows("SELECT id, definition, parent_id FROM saga")
        for row in [each for each in rows if self._hits(whom, each)]:
            with suppress(ConflictError, NotFoundError, FencedError):
                self._scene.service.compensate(UUID(str(row["id"])), "ada", "drawn", 0.0)


@contextmanager
def around_each_commit(scene: Scene, incidents: Incidents) -> Iterator[None]:
    """Let the next incident happen before each commit, and the one after it behind the commit."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("insert", "save"):
            real = getattr(scene.engine.store, name)

            def passed(*given: Any, real: Any = real, **how: Any) -> None:
                incidents.happen()
                real(*given, **how)
                incidents.happen()

            patch.setattr(scene.engine.store, name, passed)
        yield


def run_all(scene: Scene, table: Saga, data: Mapping[str, Any], rounds: int = 100) -> None:
    """Start a saga, and let new processes run what is due. A process that dies leaves its leases, which end.

    Only leases end early: a saga that waits is not made due.
    """
    with suppress(Crash, FencedError):
        scene.engine.run(Instance.new(table, data, actor="client", clock=lambda: scene.now), 1000.0)
    for number in range(rounds):
        claimed = scene.leases(f"process-{number}").claim(1, 30)
        for saga in claimed:
            with suppress(Crash, FencedError):
                scene.engine.run(saga, 1000.0)
        if not claimed and not end_leases(scene):
            return
    raise AssertionError("the sagas never come to rest")


def end_leases(scene: Scene) -> bool:
    with scene.database.connect() as connection:
        held = update(SagaRow).where(SagaRow.owner.is_not(None)).values(owner=None, due_at=db_now())
        return bool(connection.execute(held).rowcount)


def empty(scene: Scene) -> None:
    with scene.database.connect() as connection:
        for name in ("journal", "saga"):
            connection.exec_driver_sql(f"DELETE FROM {name}")
    scene.replies.clear()
    scene.requests.clear()
    scene.statements.clear()
