"""The diagrams of tables that call any HTTP API: the examples of the documentation, and the kitchen sink."""

import re
import runpy

import pytest

from diagrams.descriptions import meanings, notes
from diagrams.files import RENDERERS
from diagrams.generated import ROOT
from diagrams.sequence import runs
from diagrams.text.sequence_text import mermaid_sequence, plantuml_sequence
from machines.outcomes import Outcome
from machines.saga import Saga
from tests.support.tables.kitchen_sink import KITCHEN_SINK

#: The tables are run with `runpy`, because `discover` would keep the modules of the examples for all later tests.
EXAMPLES = [
    value
    for file in sorted((ROOT / "docs" / "examples" / "sagas").glob("*.py"))
    for value in runpy.run_path(str(file)).values()
    if isinstance(value, Saga)
]
TABLES = [*EXAMPLES, KITCHEN_SINK]
#: The texts that Python writes for an object whose renderer has no text for it.
REPR = re.compile(r"<[a-z_.]+ object|Function\(|Outcome[.:]|mappingproxy|Field\(|&lt;function|Retry\(")


@pytest.mark.parametrize("saga", TABLES, ids=str)
@pytest.mark.parametrize("kind", RENDERERS)
def test_every_diagram_is_drawn_without_python(saga: Saga, kind: str):
    drawn = RENDERERS[kind](saga)
    assert all(step.name in drawn for step in saga.steps if kind in ("md", "svg"))
    assert not REPR.search(drawn)


@pytest.mark.parametrize("saga", TABLES, ids=str)
def test_every_sequence_is_drawn_without_python(saga: Saga):
    for run in runs(saga):
        assert not REPR.search(plantuml_sequence(run) + mermaid_sequence(run))


def test_the_notes_of_a_state_say_what_replies_mean_and_how_a_lost_reply_is_got():
    assert notes(KITCHEN_SINK.states["BOOKED"])[1:] == [
        "no answer: asks GET points/redemptions",
        "402 or status requires_action: refused, but undone: it leaves something behind",
    ]
    assert notes(KITCHEN_SINK.states["UNDOING_BOOK"])[1:] == [
        "reply of book lost: sends POST fly/bookings again first, with the same key"
    ]
    assert notes(KITCHEN_SINK.states["UNDOING_REDEEM"])[1:] == [
        "reply of redeem lost: asks GET points/redemptions first", "404: done"
    ]  # fmt: skip


def test_a_missing_field_has_a_meaning_of_its_own():
    (redeem,) = (step for step in KITCHEN_SINK.steps if step.name == "redeem")
    assert meanings(redeem.probe) == [("0.id null or missing", Outcome.REFUSED)]


def test_the_page_has_the_retries_of_each_undo_and_the_meaning_of_replies():
    page = RENDERERS["md"](KITCHEN_SINK)
    (book,) = re.findall(r"^\| 3 \|.*$", page, re.MULTILINE)
    assert book.endswith("| up to 2 attempts, 0.01 s \N{MULTIPLICATION SIGN}2, timeout 5 s |")
    assert "reply of book lost: sends POST fly/bookings again first" in book
    assert "| `POST points/redemptions` | `402` | refused, but undone: it leaves something behind |" in page


def test_the_picture_says_what_is_undone_after_a_refusal_and_a_lost_reply():
    picture = re.sub(r"<[^>]*>", " ", RENDERERS["svg"](KITCHEN_SINK))
    words = " ".join(picture.split())
    assert "Refused with 402 or status requires_action: undoes redeem too" in words
    assert "Undo needs the reply: if it is lost, asks for it first" in words
    assert "Undo needs the reply: if it is lost, sends the call again with the same key first" in words
