"""The status diagrams are derived from the tables and from the code that decides a status."""

import re
from collections.abc import Callable

import pytest

from app.api.schemas.sagas import SagaShort, SagaStep
from diagrams.lifecycle import Change, Lifecycle, lifecycles
from diagrams.picture.elements import Picture
from diagrams.picture.lifecycle_picture import lifecycle_picture
from diagrams.text.lifecycle_text import graphviz_lifecycle, markdown_lifecycle, mermaid_lifecycle, plantuml_lifecycle
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.purchase import PURCHASE
from tests.unit.diagrams import picture_checks

SAGAS, STEPS = lifecycles(discover())


@pytest.fixture(params=[SAGAS, STEPS], ids=lambda life: life.title)
def life(request: pytest.FixtureRequest) -> Lifecycle:
    return request.param


def of_plantuml(text: str) -> set[Change]:
    return set(re.findall(r"^(\w+) --> (\w+) : ", text, re.MULTILINE))


def of_graphviz(text: str) -> set[Change]:
    return set(re.findall(r'^  "(\w+)" -> "(\w+)" \[label=', text, re.MULTILINE))


def of_mermaid(text: str) -> set[Change]:
    return set(re.findall(r"^  (\w+) --> (\w+) : ", text, re.MULTILINE))


def of_markdown(text: str) -> set[Change]:
    return set(re.findall(r"^\| `(\w+)` \| .* \| `(\w+)` \|$", text, re.MULTILINE))


READERS = {
    plantuml_lifecycle: of_plantuml,
    graphviz_lifecycle: of_graphviz,
    mermaid_lifecycle: of_mermaid,
    markdown_lifecycle: of_markdown,
}


def test_statuses_equal_those_of_the_api():
    for life, reply in ((SAGAS, SagaShort), (STEPS, SagaStep)):
        (choice,) = reply().fields["status"].validators
        # No table of the samples has a wait or a condition, so none of them has `waiting` or `skipped`.
        assert sorted(life.statuses) == sorted(set(choice.choices) - {"waiting", "skipped"})
        assert {status for change in life.changes for status in change} == set(life.statuses)


def test_saga_goes_from_pending_through_in_progress_to_its_ends():
    assert (SAGAS.initial, SAGAS.ends) == ("pending", {"completed", "compensated"})
    assert SAGAS.changes["pending", "in_progress"] == ("execute",)
    assert SAGAS.changes["in_progress", "completed"] == ("succeeded",)
    assert "undo succeeded" in SAGAS.changes["in_progress", "compensated"]
    assert "retry" in SAGAS.changes["failed", "in_progress"]
    assert "compensated" not in {before for before, _ in SAGAS.changes}


def test_a_step_is_compensated_by_its_undo_alone():
    undone = {moves for (_, after), moves in STEPS.changes.items() if after == "compensated"}
    assert undone == {("undo resolve", "undo succeeded")}


def test_a_step_fails_by_the_outcomes_of_its_own_call():
    failing = STEPS.changes["in_progress", "failed"]
    assert {"refused", "refused_in_doubt", "exhausted", "expire", "quarantine"} <= set(failing)
    assert not any("another step" in move or move.startswith("undo") for move in failing)


def test_only_a_table_without_a_pivot_leaves_completed():
    of_checkout, of_purchase = lifecycles([CHECKOUT])[0], lifecycles([PURCHASE])[0]
    assert ("completed", "in_progress") not in of_checkout.changes
    assert of_purchase.changes["completed", "in_progress"] == ("compensate",)


def test_diagram_uses_the_code_that_decides_a_steps_status(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("machines.statuses.FAILURES", frozenset())
    assert ("in_progress", "failed") not in lifecycles([CHECKOUT])[1].changes


@pytest.mark.parametrize("render", READERS, ids=lambda render: render.__name__)
def test_every_format_has_every_change_of_status(life: Lifecycle, render: Callable[[Lifecycle], str]):
    assert READERS[render](render(life)) == set(life.changes)


@pytest.mark.parametrize("check", picture_checks.EVERY, ids=lambda check: check.__name__)
def test_no_element_of_the_picture_covers_another(life: Lifecycle, check: Callable[[Picture], None]):
    check(lifecycle_picture(life))


def test_the_picture_has_every_change_as_an_edge_with_its_moves(life: Lifecycle):
    edges = {edge.title: " ".join(label.words for label in edge.labels) for edge in lifecycle_picture(life).edges}
    expected = {f"{before} → {after}": ", ".join(moves) for (before, after), moves in life.changes.items()}
    assert edges == expected | {"start": ""}
