"""A table with pauses and waits, in every format."""

import pytest

from diagrams.picture.svg import svg
from diagrams.sequence import runs
from diagrams.text.graphviz import graphviz
from diagrams.text.markdown import markdown
from diagrams.text.mermaid import mermaid
from diagrams.text.plantuml import plantuml
from machines.call import post
from machines.preview import preview
from machines.saga import Saga
from machines.step import compensatable, pause, pivot
from machines.transitions import Trigger
from tests.support.waiting_sagas.leave import LEAVE

LOAN = Saga(
    name="loan", version=1, initial="ASKED", completed="PAID", compensated="CALLED_OFF", participants=("bank",),
    data={},
    steps=(
        compensatable("hold", post("bank", "/hold"), undo=post("bank", "/release"), done="HELD", refused="SHORT"),
        pause("rest", for_s=60, done="RESTED", refused="STOPPED"),
        pivot("pay", post("bank", "/pay"), done="PAID", refused="DECLINED"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("draw", [svg, graphviz, markdown, mermaid, plantuml])
def test_each_format_says_what_is_waited_for(draw):
    assert "signal agree, 1 d at most" in draw(LEAVE)
    assert "pause 1 min" in draw(LOAN)


@pytest.mark.parametrize(
    ("draw", "look"),
    [
        (svg, '<g class="waiting" data-state="ASKED">'),
        (
            graphviz,
            '"ASKED" [label="ASKED\\nsignal agree, 1 d at most" shape=box style="rounded,dashed" color="#5a6570"',
        ),
        (mermaid, "class s_ASKED waiting"),
        (plantuml, 'state "ASKED" as s_ASKED <<waiting>>'),
    ],
)
def test_a_waiting_state_has_a_look_of_its_own(draw, look):
    assert look in draw(LEAVE)


def test_the_sequences_go_through_waits_and_show_their_refusals():
    assert [(run.name, run.end) for run in runs(LEAVE)] == [
        ("success", "TAKEN"), ("agree-refused", "NOT_TAKEN"), ("plan-refused", "NOT_TAKEN"),
    ]  # fmt: skip


def test_the_preview_of_a_cancellation_shows_the_way_back():
    found = preview(LOAN, "HELD", Trigger.CANCEL, in_doubt=False)
    assert [stop.state.name for stop in found.course] == ["STOPPED", "UNDOING_HOLD", "CALLED_OFF"]


def test_the_preview_of_a_retry_goes_through_later_waits_to_the_end():
    found = preview(LOAN, "STUCK_HOLD", Trigger.RETRY, in_doubt=False)
    assert found.end.name == "PAID"
