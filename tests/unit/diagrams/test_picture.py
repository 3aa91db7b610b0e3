"""The picture as a reader sees it: no element covers another, actions go down, and compensations go up at the side."""

from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from diagrams.overlays.diff import Diff, diff_overlay
from diagrams.overlays.heat import heat_overlay
from diagrams.overlays.overlay import Overlay, edge_key
from diagrams.overlays.path import path_overlay
from diagrams.picture.compose import compose
from diagrams.picture.elements import Picture, Text, wrap
from diagrams.picture.svg import svg
from machines.checkout import CHECKOUT
from machines.saga import Saga
from machines.transitions import Phase
from tests.unit.diagrams import picture_checks


def plain(saga: Saga) -> Overlay | None:
    return None


def heat(saga: Saga) -> Overlay:
    states = saga.states
    figures = SimpleNamespace(
        now=dict.fromkeys(states, 1234), oldest_s=dict.fromkeys(states, 5e5), p95_s=dict.fromkeys(states, 4000.0),
        moves={edge_key(transition): 987_654 for transition in saga.transitions},
    )  # fmt: skip
    return heat_overlay(saga, "24h", figures)


def path(saga: Saga) -> Overlay:
    reason = "503 no answer from a participant that had a lot to say about why it could not, at great length, again"
    moves = [
        SimpleNamespace(source=source, trigger=trigger, dest=dest, reason=reason, actor="a")
        for source, trigger, dest in map(edge_key, saga.transitions)
    ]
    return path_overlay(saga, "x" * 36, "stuck", saga.initial, moves)


def difference(saga: Saga) -> Overlay:
    return diff_overlay(Diff(old=CHECKOUT, new=saga, sagas_by_state=dict.fromkeys(CHECKOUT.states, 7)))


@pytest.fixture(params=[plain, heat, path, difference], ids=lambda overlay: overlay.__name__)
def picture(request: pytest.FixtureRequest, saga: Saga) -> Picture:
    return compose(saga, request.param(saga))


def test_no_text_covers_another(picture: Picture):
    picture_checks.no_words_cover_others(picture)


def test_every_text_is_on_the_page_and_in_its_box(picture: Picture):
    picture_checks.all_words_are_on_the_page_and_in_their_boxes(picture)


def test_no_label_lies_on_a_box(picture: Picture):
    picture_checks.no_label_lies_on_a_box(picture)


def test_no_boxes_overlap(picture: Picture):
    picture_checks.no_boxes_overlap(picture)


def test_no_line_runs_through_a_box(picture: Picture):
    picture_checks.no_line_runs_through_a_box(picture)


def test_lines_are_horizontal_or_vertical(picture: Picture):
    picture_checks.lines_are_level_or_upright(picture)


def test_forward_goes_down_and_compensation_goes_up_at_the_right(saga: Saga):
    boxes = {box.state: box for box in compose(saga).boxes if box.state}
    phases = {name: state.phase for name, state in saga.states.items()}
    middle = boxes[saga.initial].x
    for name, box in boxes.items():
        if phases[name] in (Phase.FORWARD, Phase.COMPLETED):
            assert box.x == middle
        if phases[name] in (Phase.UNDOING, Phase.COMPENSATED):
            assert box.left > boxes[saga.initial].right
    for transition in saga.transitions:
        if transition.trigger == "succeeded":
            up = phases[transition.source] is Phase.UNDOING
            assert (boxes[transition.dest].y < boxes[transition.source].y) is up


def test_checkout_alone_has_the_story_of_a_refused_payment():
    words = " ".join(text.words for text in compose(CHECKOUT).texts)
    assert "Refused: undoes reserver_stock No answer: undoes payer too" in words
    assert "POINT OF NO RETURN" in words


def test_picture_contains_probes_and_deadline_of_the_table():
    picture = compose(CHECKOUT)
    words = " ".join(text.words for text in picture.texts)
    assert "No answer: asks what became of it, then stuck, a person decides" in words
    assert "After 15 min no step that may fail is sent any more" in words
    asked = [box.state for box in picture.boxes if "asks GET ventes/ventes/outcome" in box.title]
    assert asked == ["PAIEMENT_EFFECTUE"]


def test_quarantine_is_drawn_only_when_a_saga_is_there():
    calm = compose(CHECKOUT)
    shapes = {box.state: box.shape for box in calm.boxes}
    assert shapes["STUCK_PAYER"] == "quarantine"
    assert shapes["STUCK_ENREGISTRER_VENTE"] == shapes["STUCK_UNDO_PAYER"] == "stuck"
    assert [label.words for label in labels_at(calm, "STUCK_PAYER")] == []
    taken = SimpleNamespace(
        source="STOCK_RESERVE", trigger="quarantine", dest="STUCK_PAYER", reason="claimed 5 times", actor="engine"
    )
    stuck = compose(CHECKOUT, path_overlay(CHECKOUT, "id", "stuck", "STUCK_PAYER", [taken]))
    assert next(box.shape for box in stuck.boxes if box.state == "STUCK_PAYER") == "stuck"
    ways_out = ["retry", "resolve", "compensate_including"]
    assert [label.words for label in labels_at(stuck, "STUCK_PAYER")] == ["quarantine #1", *ways_out]


def labels_at(picture: Picture, state: str) -> list[Text]:
    edges = [
        edge
        for edge in picture.edges
        if any(state in (transition.source, transition.dest) for transition in edge.transitions)
    ]
    return [label for edge in edges for label in edge.labels]


def test_picture_has_no_script_and_loads_nothing(saga: Saga):
    text = svg(saga)
    names = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}
    assert names == {"svg", "title", "desc", "style", "rect", "g", "path", "polygon", "circle", "text"} - (
        set() if "circle" in names else {"circle"}
    )
    assert "href" not in text
    assert text.count("http") == 1  # only the namespace of SVG; a browser would load any other address
    assert "style=" not in text  # the attribute has no effect under a strict Content-Security-Policy


def test_text_from_outside_is_escaped():
    overlay = Overlay(title="<script>&", lines={"INITIEE": ("</text><script>\x00\x1b\ud800\uffff",)}, footer=("]]>",))
    words = [text.text for text in ET.fromstring(svg(CHECKOUT, overlay)).iter("{http://www.w3.org/2000/svg}text")]
    assert "<script>&" in words
    assert "</text><script>" in words
    assert "]]>" in words


def test_long_words_are_broken_and_cut():
    lines = wrap("word " * 100, 100, 11)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert all(Text(words=line, size=11).width <= 100 for line in [*lines, *wrap("x" * 500, 100, 11)])


def test_no_line_runs_through_a_text(picture: Picture):
    picture_checks.no_line_runs_through_words(picture)


@pytest.mark.parametrize("look", ["label", "mark", "bold"])
def test_room_for_bold_text_is_enough_in_a_wide_font(look):
    # DejaVu Sans Bold, often the only font of a Linux machine: the advance widths of "exhausted", in 1/2048 em.
    needed = sum((1389, 1321, 1458, 1382, 1458, 1219, 979, 1389, 1466)) / 2048
    assert Text(words="exhausted", size=11, look=look).width >= needed * 11
