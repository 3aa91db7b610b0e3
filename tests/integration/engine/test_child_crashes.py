"""Processes die at each boundary of a parent and its child: no child is lost or doubled, and no wake-up is lost."""

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
from machines.branching import sub
from machines.call import post
from machines.fields import text
from machines.keeps import at
from machines.registry import Registry
from machines.saga import Saga
from machines.step import compensatable
from tests.integration.engine.families import InlinePool
from tests.integration.engine.passing import Crash
from tests.integration.engine.scene import REFUSED, Scene, answer

PAYMENT = Saga(
    name="payment", version=1, initial="ASKED", completed="PAID", compensated="NOT_PAID", participants=("bank",),
    data={"customer": text()},
    steps=(
        compensatable(
            "authorize", post("bank", "/authorizations", keeps={"id": text()}), undo=post("bank", "/voids"),
            done="AUTHORIZED", refused="DECLINED",
        ),
        compensatable(
            "capture", post("bank", "/captures"), undo=post("bank", "/refunds"), done="PAID", refused="NOT_CAPTURED",
        ),
    ),
)  # fmt: skip
ORDER = Saga(
    name="order", version=1, initial="NEW", completed="SENT", compensated="CALLED_OFF", participants=("stock", "mail"),
    data={"customer": text()},
    steps=(
        compensatable("hold", post("stock", "/holds"), undo=post("stock", "/frees"), done="HELD", refused="SHORT"),
        sub(
            "payment", data={"customer": "customer"}, keeps={"id": at("authorize.id", text())},
            done="PAID_FOR", refused="NOT_PAID_FOR",
        ),
        compensatable(
            "send", post("mail", "/parcels", paid="payment.id"), undo=post("mail", "/recalls"),
            done="SENT", refused="NOT_SENT",
        ),
    ),
)  # fmt: skip
#: The same order whose first step is the child, so that the first commit of the parent inserts the child.
FIRST = Saga(
    name="prompt", version=1, initial="NEW", completed="SENT", compensated="CALLED_OFF", participants=("mail",),
    data={"customer": text()}, steps=ORDER.steps[1:],
)  # fmt: skip
TABLES = Registry([ORDER, FIRST, PAYMENT])
#: Step that is refused → the states in which the parent and the child end, and the actions that are left.
ENDS = {
    "": ("SENT", "PAID"),
    "authorize": ("CALLED_OFF", "NOT_PAID"),
    "capture": ("CALLED_OFF", "NOT_PAID"),
    "send": ("CALLED_OFF", "NOT_PAID"),
}
PLACES = ("before_commit", "after_commit", "within_family")


class Countdown:
    """Kills the process at the `number`th passage of a place."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash


def arm(scene: Scene, place: str, number: int, patch: pytest.MonkeyPatch) -> Countdown:
    store, kill = scene.engine.store, Countdown(number)
    for name in ("move_family",) if place == "within_family" else ("insert", "save"):
        real = getattr(store, name)

        def passed(*given: Any, real: Any = real, **how: Any) -> None:
            if place != "after_commit":
                kill()
            real(*given, **how)
            if place == "after_commit":
                kill()

        patch.setattr(store, name, passed)
    return kill


def run_all(scene: Scene, table: Saga) -> None:
    """Start an order, and let new processes run what is due. A process that dies leaves its leases, which end."""
    with suppress(Crash, FencedError):
        scene.engine.run(Instance.new(table, {"customer": "Ada"}, actor="client", clock=lambda: scene.now), 1000.0)
    settle(scene)


def settle(scene: Scene) -> None:
    """Let new processes run every saga that is due. Only leases end early: a saga that waits is not made due."""
    for number in range(100):
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


def left(scene: Scene) -> dict[str, str]:
    """Return what each step has left at participants that refuse a late action after its undo."""
    found: dict[str, str] = {}
    for call in scene.calls:
        step = call.removeprefix("undo_")
        found[step] = "undone" if call != step or found.get(step) == "undone" else "done"
    return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("refused", ENDS)
@pytest.mark.parametrize("table", [ORDER, FIRST], ids=["second", "first"])
def test_a_crash_at_any_boundary_loses_and_doubles_no_child(scene, monkeypatch, table, refused, place):
    scene.registry = TABLES
    for number in range(1, 40):
        empty(scene)
        scene.at_each_call = lambda request: _answer(scene, request, refused)
        with monkeypatch.context() as patch:
            kill = arm(scene, place, number, patch)
            run_all(scene, table)
        parents = scene.rows("SELECT * FROM saga WHERE parent_id IS NULL")
        children = scene.rows("SELECT * FROM saga WHERE parent_id IS NOT NULL")
        if parents:
            assert (parents[0]["state"], children[0]["state"]) == ENDS[refused], number
            assert (len(parents), len(children)) == (1, 1)
            assert all(row["owner"] is None for row in (*parents, *children))
        if kill.left > 0:
            assert number > (1 if place == "within_family" else 3), "the place was hardly ever passed"
            return
    raise AssertionError("the run has more boundaries than expected")


def _answer(scene: Scene, request: Any, refused: str) -> None:
    _, step, direction = request.headers["Idempotency-Key"].split("/")
    if direction == "do" and not scene.replies[step]:
        scene.replies[step].append(REFUSED if step == refused else answer(201, id="A1"))


def empty(scene: Scene) -> None:
    with scene.database.connect() as connection:
        for name in ("journal", "saga"):
            connection.exec_driver_sql(f"DELETE FROM {name}")
    scene.replies.clear()
    scene.requests.clear()
    scene.statements.clear()


class Incidents:
    """What happens around the next commits: a crash, another process that runs what is due, or an operator."""

    def __init__(self, scene: Scene, parent: str, drawn: list[str]) -> None:
        self._scene, self._parent, self._drawn, self._crashes = scene, parent, deque(drawn), 0

    def happen(self) -> None:
        incident = self._drawn.popleft() if self._drawn else ""
        if incident == "crash" and self._crashes < 2:  # more crashes in one state would quarantine the saga
            self._crashes += 1
            raise Crash
        if incident == "others run":
            self._others_run()
        elif incident == "leases end":
            end_leases(self._scene)
            self._others_run()
        elif incident == "parents wake":
            with self._scene.database.connect() as connection:
                waiting = SagaRow.status.in_(("waiting", "compensating")), SagaRow.owner.is_(None)
                connection.execute(update(SagaRow).where(*waiting).values(due_at=db_now()))
            self._others_run()
        elif incident.startswith("cancel"):
            name = self._parent if incident == "cancel the parent" else "payment"
            for row in self._scene.rows(f"SELECT id FROM saga WHERE definition = '{name}'"):
                with suppress(ConflictError, NotFoundError, FencedError):
                    self._scene.service.compensate(UUID(str(row["id"])), "ada", "drawn", 0.0)

    def _others_run(self) -> None:
        for saga in self._scene.leases("another").claim(3, 30):
            with suppress(Crash, FencedError):
                self._scene.engine.run(saga, 1000.0)


DRAWN = st.lists(
    st.sampled_from(
        ["", "", "crash", "others run", "leases end", "parents wake", "cancel the parent", "cancel the child"]
    ),
    max_size=30,
)


@settings(
    max_examples=int(os.environ.get("CHILD_EXAMPLES", "40")), deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(drawn=DRAWN, refused=st.sampled_from(list(ENDS)), first=st.booleans())
def test_parent_and_child_agree_after_every_race(scene, drawn, refused, first):
    empty(scene)
    table = FIRST if first else ORDER
    scene.registry = TABLES
    scene.runner.pool = InlinePool()
    incidents = Incidents(scene, table.name, drawn)
    scene.at_each_call = lambda request: _answer(scene, request, refused)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("insert", "save"):
            real = getattr(scene.engine.store, name)

            def passed(*given: Any, real: Any = real, **how: Any) -> None:
                incidents.happen()
                real(*given, **how)
                incidents.happen()

            patch.setattr(scene.engine.store, name, passed)
        run_all(scene, table)
    scene.statements.clear()  # a failed example is printed with the scene
    rows = {row["definition"]: row for row in scene.rows("SELECT * FROM saga")}
    assert len(rows) == len(scene.rows("SELECT id FROM saga")), "a child was doubled"
    if table.name not in rows:
        return
    assert all((row["owner"], row["due_at"]) == (None, None) for row in rows.values())
    stands = (rows[table.name]["state"], rows["payment"]["state"] if "payment" in rows else None)
    assert stands in {("SENT", "PAID"), ("CALLED_OFF", "NOT_PAID"), ("CALLED_OFF", None)}
    expected = "done" if stands[0] == "SENT" else "undone"
    assert {state for step, state in left(scene).items() if step != refused} <= {expected}
