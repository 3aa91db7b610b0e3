"""Time that passes for waiting sagas, the process that continues them, and processes that die."""

from collections.abc import Callable
from typing import Any

import pytest

from app.store.instance import Instance
from tests.integration.engine.scene import Scene


def pass_time(scene: Scene, seconds: float) -> None:
    """Make the saga `seconds` older: move its due time, its deadline and its entry into the state back."""
    back = {
        "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {0}, '-{1} seconds') || '000'",
        "postgresql": "{0} - interval '{1} seconds'",
    }[scene.database.dialect.name]
    columns = ("entered_at", "due_at", "deadline_at")
    moved = ", ".join(f"{column} = {back.format(column, seconds)}" for column in columns)
    with scene.database.connect() as connection:
        connection.exec_driver_sql(f"UPDATE saga SET {moved}")


def continue_due(scene: Scene) -> Instance | None:
    """Let a process claim the saga and run it, if it is due."""
    for saga in scene.leases("other").claim(1, 30):
        scene.engine.run(saga, 0)
        return saga
    return None


class Crash(BaseException):
    """Raised in place of the death of a process. Nothing but the test catches it."""


def dies_at(scene: Scene, commit: int, *, after: bool, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Let the process die before or after this commit. Return a function that returns whether the process died."""
    made = {"commits": 0, "died": False}
    for name in ("insert", "save"):
        real = getattr(scene.engine.store, name)

        def commits(*given: Any, real: Callable[..., None] = real, **how: Any) -> None:
            made["commits"] += 1
            fatal = made["commits"] == commit
            made["died"] |= fatal
            if fatal and not after:
                raise Crash
            real(*given, **how)
            if fatal:
                raise Crash

        monkeypatch.setattr(scene.engine.store, name, commits)
    return lambda: bool(made["died"])
