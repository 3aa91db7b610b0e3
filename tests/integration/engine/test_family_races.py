"""Processes die, others run what is due, and operators act at each commit of a saga with branches: all sagas agree."""

import os
from collections import deque
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from app.errors import ConflictError, NotFoundError
from app.store.database import db_now
from app.store.instance import Instance
from app.store.models import SagaRow
from app.store.sagas import FencedError
from machines.branching import branch, each, together
from machines.call import post
from machines.fields import list_of, text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Step, compensatable
from tests.integration.engine.families import InlinePool
from tests.integration.engine.passing import Crash
from tests.integration.engine.scene import LOST, REFUSED, Scene, answer

STEPS = ("hold", "take", "label", "invoice", "archive", "send")


def step(name: str, **sent: str) -> Step:
    return compensatable(
        name, post("shop", f"/{name}", keeps={"id": text()}, **sent), undo=post("shop", f"/{name}/undo"),
        done=f"{name}_DONE", refused=f"{name}_REFUSED",
    )  # fmt: skip


def order(at_most: int | None, first: Step | None) -> Saga:
    takes = each("lines", step("take", sku="item"), at_most=at_most, done="ALL_TAKEN", refused="NOT_ALL_TAKEN")
    papers = together(
        step("label"), branch("bill", step("invoice"), step("archive")), name="papers", done="PRINTED", refused="BLANK"
    )
    steps = (*([first] if first else []), takes, papers, step("send", ids="take.*.id"))
    return Saga(
        name=f"order{at_most or 0}{bool(first):d}", version=1, initial="NEW", completed="send_DONE", compensated="OFF",
        participants=("shop",), data={"lines": list_of(text(), low=0)}, steps=steps,
    )  # fmt: skip


VARIANTS = {
    (at_most, after): order(at_most, step("hold") if after else None)
    for at_most in (None, 1, 2)
    for after in (False, True)
}
TABLES = Registry(list(VARIANTS.values()))


class Book:
    """What the participant has done, by saga and step. A late action after its undo is refused."""

    def __init__(self, scene: Scene, refused: str, lost: str) -> None:
        self._scene, self._refused, self._lost = scene, refused, lost
        self.effects: dict[tuple[str, str], str] = {}

    def answer(self, request: Any) -> None:
        saga, name, direction = request.headers["Idempotency-Key"].split("/")
        before = self.effects.get((saga, name))
        if direction == "undo":
            self.effects[saga, name] = "undone"
        elif name == self._refused or before == "undone":
            self._scene.replies[name].append(REFUSED)
        else:
            self.effects[saga, name] = "done"
            first_is_lost = name == self._lost and before is None
            self._scene.replies[name].append(LOST if first_is_lost else answer(201, id=name))


class Incidents:
    """What happens around the next commits."""

    def __init__(self, scene: Scene, drawn: list[str]) -> None:
        self._scene, self._drawn, self._crashes = scene, deque(drawn), 0

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
            ending = incident.removeprefix("cancel ")
            rows = self._scene.rows("SELECT id, definition, parent_id FROM saga")
            for row in [
                each for each in rows if (each["definition"] if each["parent_id"] else "order").endswith(ending)
            ]:
                with suppress(ConflictError, NotFoundError, FencedError):
                    self._scene.service.compensate(UUID(str(row["id"])), "ada", "drawn", 0.0)


def end_leases(scene: Scene) -> bool:
    with scene.database.connect() as connection:
        held = update(SagaRow).where(SagaRow.owner.is_not(None)).values(owner=None, due_at=db_now())
        return bool(connection.execute(held).rowcount)


def run_all(scene: Scene, table: Saga, data: dict[str, Any]) -> None:
    with suppress(Crash, FencedError):
        scene.engine.run(Instance.new(table, data, actor="client", clock=lambda: scene.now), 1000.0)
    for number in range(300):
        claimed = scene.leases(f"process-{number}").claim(1, 30)
        for saga in claimed:
            with suppress(Crash, FencedError):
                scene.engine.run(saga, 1000.0)
        if not claimed and not end_leases(scene):
            return
    raise AssertionError("the sagas never come to rest")


def empty(scene: Scene) -> None:
    with scene.database.connect() as connection:
        for name in ("journal", "saga"):
            connection.exec_driver_sql(f"DELETE FROM {name}")
    scene.replies.clear()
    scene.requests.clear()
    scene.statements.clear()


INCIDENTS = [
    "", "", "crash", "others run", "leases end", "all wake", "cancel order", "cancel .take", "cancel .bill",
]  # fmt: skip


@settings(
    max_examples=int(os.environ.get("CHILD_EXAMPLES", "40")), deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    drawn=st.lists(st.sampled_from(INCIDENTS), max_size=40),
    refused=st.sampled_from(["", "", *STEPS]),
    lost=st.sampled_from(["", *STEPS]),
    lines=st.integers(0, 4),
    at_most=st.sampled_from([None, 1, 2]),
    after_a_step=st.booleans(),
)
def test_a_saga_and_its_branches_agree_after_every_race(  # noqa: PLR0917  hypothesis draws each of them
    scene, drawn, refused, lost, lines, at_most, after_a_step
):
    empty(scene)
    table = VARIANTS[at_most, after_a_step]
    scene.registry = TABLES
    scene.runner.pool = InlinePool()
    incidents, book = Incidents(scene, drawn), Book(scene, refused, lost)
    scene.at_each_call = book.answer
    with pytest.MonkeyPatch.context() as patch:
        for name in ("insert", "save"):
            real = getattr(scene.engine.store, name)

            def passed(*given: Any, real: Any = real, **how: Any) -> None:
                incidents.happen()
                real(*given, **how)
                incidents.happen()

            patch.setattr(scene.engine.store, name, passed)
        run_all(scene, table, {"lines": [f"s{number}" for number in range(lines)]})
    scene.statements.clear()  # a failed example is printed with the scene
    rows = scene.rows("SELECT * FROM saga")
    if not rows:
        return
    (root,) = [row for row in rows if row["parent_id"] is None]
    children = [row for row in rows if row["parent_id"] is not None]
    assert all((row["owner"], row["due_at"]) == (None, None) for row in rows), rows
    places = [(row["definition"], row["child_number"]) for row in children]
    assert len(places) == len(set(places)), "a branch was doubled"
    assert root["state"] in ("send_DONE", "OFF")
    expected = "completed" if root["state"] == "send_DONE" else "compensated"
    assert {row["status"] for row in children} <= {expected}
    if expected == "completed":
        assert len(children) == lines + 2
    assert set(book.effects.values()) <= {"done" if expected == "completed" else "undone"}
