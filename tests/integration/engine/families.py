"""Helpers for tests of sagas with children: processes that run what is due, and what the database then has."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any
from uuid import UUID

from sqlalchemy import update

from app.store.database import db_now
from app.store.models import SagaRow
from machines.registry import Registry
from machines.saga import Saga
from tests.integration.engine.scene import Scene


class InlinePool(Executor):
    """Runs each saga in the thread of its caller, so that a test can say when a saga runs."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **_how: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(call(*arguments))
        return done


def begin(scene: Scene, *tables: Saga, **data: Any) -> UUID:
    """Start a saga of the first table, and let processes run every saga that is due. Return its id."""
    scene.registry = Registry(list(tables))
    scene.runner.pool = InlinePool()
    saga = scene.run(tables[0], **data)
    settle(scene)
    return saga.id


def settle(scene: Scene, rounds: int = 50) -> None:
    """Let one process after another claim a due saga and run it, until no saga is due."""
    for number in range(rounds):
        claimed = scene.leases(f"process-{number}").claim(1, 30)
        for saga in claimed:
            scene.engine.run(saga, 1000.0)
        if not claimed:
            return
    raise AssertionError("the sagas never come to rest")


def wake(scene: Scene) -> None:
    """Let processes claim the sagas that wait, too, before their waits are over."""
    with scene.database.connect() as connection:
        connection.execute(update(SagaRow).where(SagaRow.status == "waiting").values(due_at=db_now()))
    settle(scene)


def ends(scene: Scene) -> dict[str, str]:
    """Return definition → state of the newest saga of each definition."""
    rows = scene.rows("SELECT definition, state FROM saga ORDER BY coalesce(child_number, 0)")
    return {row["definition"]: row["state"] for row in rows}


def the(scene: Scene, definition: str) -> Any:
    row = scene.rows(f"SELECT * FROM saga WHERE definition = '{definition}' ORDER BY coalesce(child_number, 0)")[-1]
    return {**row, "id": UUID(str(row["id"]))}
