"""A table with pauses and waits, in every format."""

from dataclasses import replace
from itertools import combinations

import pytest

from diagrams.descriptions import notes
from diagrams.overlays.overlay import Overlay
from diagrams.picture.layout import layout
from diagrams.picture.svg import svg
from diagrams.sequence import runs
from diagrams.text.graphviz import graphviz
from diagrams.text.markdown import markdown
from diagrams.text.mermaid import mermaid
from diagrams.text.plantuml import plantuml
from diagrams.text.sequence_text import mermaid_sequence, plantuml_sequence
from machines.call import get, post
from machines.later import callback, poll
from machines.outcomes import ACCEPTED, REFUSED
from machines.preview import preview
from machines.saga import Saga
from machines.step import compensatable, pause, pivot, retriable
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


SALE = Saga(
    name="sale", version=1, initial="ASKED", completed="SENT", compensated="CALLED_OFF", participants=("bank",),
    data={}, deadline_s=10 * 86_400,
    steps=(
        compensatable(
            "pay", post("bank", "/pay", means={"state": {"processing": ACCEPTED}}), undo=post("bank", "/refund"),
            probe=get("bank", "/pay/{saga.id}"), later=callback(within_s=86_400), done="PAID", refused="DECLINED",
        ),
        pivot("book", post("bank", "/book"), later=callback(within_s=60), done="BOOKED", refused="NOT_BOOKED"),
        retriable("send", post("bank", "/send"), later=callback(within_s=60), done="SENT"),
    ),
)  # fmt: skip


ASKS = get("bank", "/prints/{print.id}", means={"state": {"queued": ACCEPTED, "jammed": REFUSED}})
PRINT = Saga(
    name="print", version=1, initial="ASKED", completed="PRINTED", compensated="CALLED_OFF", participants=("bank",),
    data={},
    steps=(
        pivot(
            "print", post("bank", "/prints"), probe=get("bank", "/prints/find/{saga.id}"),
            later=poll(ASKS, every_s=30, within_s=7_200), done="PRINTED", refused="NO_PAPER",
        ),
    ),
)  # fmt: skip


@pytest.mark.parametrize("draw", [svg, graphviz, markdown, mermaid, plantuml])
def test_each_format_says_that_an_answer_is_asked_for(draw):
    for words in ("AWAITING_PRINT", "poll every 30 s, 2 h at most", "accepted", "GET bank/prints/"):
        assert words in draw(PRINT)


def test_the_notes_of_a_state_that_polls_say_what_is_asked_and_what_a_reply_means():
    assert notes(PRINT.states["AWAITING_PRINT"]) == [
        "poll every 30 s, 2 h at most",
        "asks GET bank/prints/{print.id}",
        "state queued: answered later",
        "state jammed: refused",
        "no answer in time: asks GET bank/prints/find/{saga.id}",
    ]


def test_the_sequence_of_a_polled_answer_has_the_poll():
    (later,) = (run for run in runs(PRINT) if run.name == "print-later")
    assert "_saga->>p_bank: poll print#58; GET /prints/#123;print.id#125;" in mermaid_sequence(later)
    assert "_saga -> p_bank : poll print<U+003A> GET /prints/{print.id}" in plantuml_sequence(later)


@pytest.mark.parametrize("draw", [svg, graphviz, markdown, mermaid, plantuml])
def test_each_format_says_which_call_follows_an_end(draw):
    called = replace(LOAN, at_end={"PAID": post("bank", "/reports")})
    assert "POST bank/reports" in draw(called)
    assert "POST bank/reports" not in draw(LOAN)


@pytest.mark.parametrize("draw", [svg, graphviz, markdown, mermaid, plantuml])
def test_each_format_says_that_an_answer_is_awaited(draw):
    for words in ("AWAITING_PAY", "AWAITING_SEND", "callback, 1 d at most", "accepted"):
        assert words in draw(SALE)
    assert "no callback in time: asks GET bank/pay/{saga.id}" in notes(SALE.states["AWAITING_PAY"])
    assert "state processing: answered later" in notes(SALE.states["ASKED"])


def test_the_sequence_of_a_later_answer_has_the_callback():
    (later,) = (run for run in runs(SALE) if run.name == "pay-later")
    assert "p_bank->>_saga: callback of pay" in mermaid_sequence(later)
    assert "p_bank -> _saga : callback of pay" in plantuml_sequence(later)
    assert "p_bank-->>_saga: accepted" in mermaid_sequence(later)


@pytest.mark.parametrize("table", [SALE, PRINT])
def test_no_two_boxes_of_a_table_with_later_answers_overlap(table):
    boxes = list(layout(table, Overlay(title="later")).boxes.values())
    for one, other in combinations(boxes, 2):
        assert (
            one.right <= other.left or other.right <= one.left or one.bottom <= other.top or other.bottom <= one.top
        ), (one.state, other.state)


def test_the_preview_of_a_cancellation_while_the_answer_is_awaited_undoes_the_step():
    found = preview(SALE, "AWAITING_PAY", Trigger.CANCEL, in_doubt=False)
    assert [stop.state.name for stop in found.course] == ["UNDOING_PAY", "CALLED_OFF"]


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
    assert [stop.state.name for stop in found.course] == ["UNDOING_HOLD", "CALLED_OFF"]


def test_the_preview_of_a_retry_goes_through_later_waits_to_the_end():
    found = preview(LOAN, "STUCK_HOLD", Trigger.RETRY, in_doubt=False)
    assert found.end.name == "PAID"
