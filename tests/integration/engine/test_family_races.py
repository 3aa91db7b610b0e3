"""Processes die, others run what is due, and operators act at each commit of a saga with branches: all sagas agree."""

import os
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machines.branching import branch, each, together
from machines.call import post
from machines.fields import list_of, text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Step, compensatable
from tests.integration.engine.families import InlinePool
from tests.integration.engine.incidents import Incidents, around_each_commit, empty, run_all
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


def _is_called(ending: str, row: Mapping[str, Any]) -> bool:
    """Return True for a row of the order, or of the branches whose names end so."""
    return (row["definition"] if row["parent_id"] else "order").endswith(ending)


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
    book = Book(scene, refused, lost)
    scene.at_each_call = book.answer
    with around_each_commit(scene, Incidents(scene, drawn, _is_called)):
        run_all(scene, table, {"lines": [f"s{number}" for number in range(lines)]}, rounds=300)
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
