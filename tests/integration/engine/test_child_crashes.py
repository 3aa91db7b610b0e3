"""Processes die at each boundary of a parent and its child: no child is lost or doubled, and no wake-up is lost."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machines.branching import sub
from machines.call import post
from machines.fields import text
from machines.keeps import at
from machines.registry import Registry
from machines.saga import Saga
from machines.step import compensatable
from tests.integration.engine.families import InlinePool
from tests.integration.engine.incidents import Incidents, around_each_commit, empty, run_all
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
            run_all(scene, table, {"customer": "Ada"})
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


DRAWN = st.lists(
    st.sampled_from(["", "", "crash", "others run", "leases end", "all wake", "cancel the parent", "cancel the child"]),
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
    scene.at_each_call = lambda request: _answer(scene, request, refused)
    names = {"the parent": table.name, "the child": "payment"}
    with around_each_commit(scene, Incidents(scene, drawn, lambda whom, row: row["definition"] == names[whom])):
        run_all(scene, table, {"customer": "Ada"})
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
