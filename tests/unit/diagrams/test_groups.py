"""The branches of together() and each() are drawn inside the diagram of their saga, in every format."""

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from diagrams.files import RENDERERS
from diagrams.overlays.branches import branch_marks
from diagrams.overlays.path import path_overlay
from diagrams.picture.compose import compose
from diagrams.picture.elements import Picture
from diagrams.picture.svg import svg
from diagrams.sequence import runs
from diagrams.text.graphviz import graphviz
from diagrams.text.mermaid import mermaid
from diagrams.text.plantuml import plantuml
from diagrams.text.sequence_text import mermaid_sequence, plantuml_sequence
from machines import (
    Saga,
    above,
    boolean,
    branch,
    compensatable,
    each,
    get,
    integer,
    is_true,
    list_of,
    pause,
    post,
    read,
    retriable,
    text,
    together,
)
from machines.branches import branch_tables
from machines.discovery import discover
from tests.unit.diagrams import picture_checks
from tests.unit.diagrams.readers import READERS, of_machine

ROOT = Path(__file__).parents[3]


def undone(name: str, **columns: object):
    undo = post("stock", f"/{name}/undo")
    return compensatable(
        name,
        post("stock", f"/{name}"),
        undo=undo,
        done=f"{name.upper()}_DONE",
        refused=f"NO_{name.upper()}",
        **columns,
    )


#: Every word in every place: groups in branches, two skipped steps in a row, a skipped last step, and a pause.
NESTED = Saga(
    name="nested", version=1, initial="NEW", completed="SENT", compensated="UNDONE", participants=("stock",),
    data={"lines": list_of({"sku": text(), "parts": list_of(text())}),
          "count": integer(), "gift": boolean()},
    steps=(
        together(
            branch("first", undone("one", when=is_true("gift")), undone("two", when=above("count", 3)),
                   undone("three")),
            branch("second", undone("four"), undone("five", when=is_true("gift"))),
            branch("third", each("lines", undone("six"), name="inner", at_most=2, done="INNER", refused="NO_INNER"),
                   pause("cool", for_s=60, done="COOL", refused="NOT_COOL")),
            name="all_of_it", done="ALL_DONE", refused="NOT_ALL"),
        each("lines",
             together(read("look", get("stock", "/looks/{item.sku}"), done="LOOKED", refused="UNSEEN"), undone("seven"),
                      name="both", done="BOTH", refused="NOT_BOTH"),
             undone("eight"), name="lines_done", done="LINES", refused="NO_LINES"),
        retriable("send", post("stock", "/sent"), done="SENT"),
    ),
)  # fmt: skip
MEETING, TRIP, LEAVE = (
    next(table for table in discover(str(ROOT / "tests" / "support" / "child_sagas")) if table.name == name)
    for name in ("meeting", "trip", "leave")
)
WEB_ORDER = next(table for table in discover(str(ROOT / "docs" / "examples" / "branches")) if table.name == "web_order")
TABLES = (NESTED, MEETING, WEB_ORDER)


def child(of: str, definition: str, state: str, status: str, number: int = 1) -> SimpleNamespace:
    """Return a count of children. of: table and step that have started them, with a slash between."""
    parent, step = of.split("/")
    return SimpleNamespace(parent=parent, step=step, definition=definition, state=state, status=status, number=number)


HUNDRED = [
    child("web_order/hold", "web_order.hold", "HELD", "completed", 61),
    child("web_order/hold", "web_order.hold", "BEGIN_HOLD", "running", 18),
    child("web_order/hold", "web_order.hold", "STUCK_HOLD", "stuck", 1),
]


def live(saga: Saga) -> Picture:
    """Return a picture in which every step of every branch has children that are here, stuck and going back."""
    marks = {}
    for table in (*branch_tables(saga), saga):
        for step in (*table.steps, SimpleNamespace(name="")):
            words = ("◆ 1000 here, 17 stuck, 3 going back", "17 of 1000 done, 3 stuck, 12 going back, 4 undone")
            marks[table.name, step.name] = SimpleNamespace(lines=words, look="now failed")
    return compose(saga, path_overlay(saga, "x" * 36, "waiting", saga.initial, [], branches=marks))


@pytest.fixture(params=[compose, live], ids=lambda draw: draw.__name__)
def draw(request: pytest.FixtureRequest) -> Callable[[Saga], Picture]:
    return request.param


@pytest.mark.parametrize("saga", TABLES, ids=str)
@pytest.mark.parametrize("check", picture_checks.EVERY, ids=lambda check: check.__name__)
def test_the_picture_of_a_table_with_branches_can_be_read(draw, saga, check):
    check(draw(saga))


def names(saga: Saga) -> set[str]:
    """Return the names of all steps in branches."""
    return {step.name for table in branch_tables(saga) for step in table.steps}


@pytest.mark.parametrize("saga", TABLES, ids=str)
@pytest.mark.parametrize("kind", ["svg", "dot", "puml", "mmd", "md"])
def test_every_format_names_every_step_of_every_branch(saga, kind):
    drawn = RENDERERS[kind](saga)
    assert not {name for name in names(saga) if name not in drawn}


@pytest.mark.parametrize("kind", ["svg", "dot", "puml", "mmd", "md"])
def test_every_format_says_when_a_step_of_a_branch_is_done_and_how_many_items_run(kind):
    drawn = RENDERERS[kind](WEB_ORDER)
    assert "country is US" in drawn
    assert "for each of lines, at most 20 at once" in drawn


def test_graphviz_draws_a_group_as_a_cluster_and_a_group_in_a_branch_inside_it():
    drawn = graphviz(NESTED)
    outer = re.search(r'subgraph "cluster_g1" \{.*?\n  \}', drawn, re.DOTALL)[0]
    assert 'subgraph "cluster_g' in outer[20:]
    assert '"NEW" -> "g1_fork"' in drawn
    assert '"g1_join" -> "ALL_DONE"' in drawn


@pytest.mark.parametrize("render", [plantuml, mermaid])
def test_plantuml_and_mermaid_draw_a_group_as_a_composite_state_with_fork_and_join(render):
    drawn = render(WEB_ORDER)
    assert drawn.count("<<fork>>") == drawn.count("<<join>>") == 2
    assert re.search(r'state "papers.*" as g\d+ \{', drawn)


def test_a_group_leads_around_each_step_that_may_be_skipped():
    arrows = [line.strip() for line in graphviz(NESTED).splitlines() if "skip" in line and "g1_fork" in line]
    assert [re.search(r'label="(.*)"', line)[1] for line in arrows] == [
        "skip one, only when count is above 3",
        "skip one, skip two",
    ]


def test_hostile_words_in_branches_break_no_picture(hostile):
    quotes = "/\"'<b>&amp;|`]]>--__**~^[a];:\\%23?//"
    group = together(
        branch("node", retriable("edge", post(hostile.participants[0], quotes), done="graph_done")),
        retriable("class", post(hostile.participants[0], quotes), done="classed"),
        name="subgraph_of",
        done="loop_done",
    )
    *steps, last = hostile.steps
    table = dataclasses.replace(hostile, steps=(*steps, group, last))
    assert ET.fromstring(svg(table)) is not None
    for render, read_back in READERS.items():
        assert read_back(render(table)) == of_machine(table), render


@pytest.mark.programs
@pytest.mark.parametrize("saga", TABLES, ids=str)
def test_dot_and_plantuml_render_groups_without_a_warning(saga, tmp_path):
    for kind, command in (("dot", ["dot", "-Tsvg", "-O"]), ("puml", ["plantuml", "-failfast2", "-tsvg"])):
        assert shutil.which(command[0]), f"{command[0]} is not installed"
        file = tmp_path / f"saga.{kind}"
        file.write_text(RENDERERS[kind](saga))
        done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False, timeout=120)
        told = [line for line in done.stderr.splitlines() if not line.startswith("Picked up ")]
        assert (done.returncode, done.stdout, told) == (0, "", [])


def lines(marks, table: str, step: str) -> tuple[str, ...]:
    return marks[table, step].lines


def test_the_marks_count_the_items_of_a_list_also_those_that_have_not_started():
    marks = branch_marks(WEB_ORDER, HUNDRED, {"hold": 100})
    assert lines(marks, "web_order", "hold") == ("61 of 100 done, 1 stuck",)
    assert lines(marks, "web_order.hold", "hold") == ("◆ 18 here, 1 stuck",)
    assert marks["web_order.hold", "hold"].look == "now failed"


def test_the_marks_of_branches_say_what_became_of_each_one():
    children = [
        child("web_order/papers", "web_order.papers.label", "DUTY_KNOWN", "running"),
        child("web_order/papers", "web_order.papers.invoice", "BILLED", "completed"),
        child("web_order/charge", "charge", "CAPTURED", "completed"),
    ]
    marks = branch_marks(WEB_ORDER, children, {})
    assert lines(marks, "web_order", "papers") == ("1 of 2 done",)
    assert lines(marks, "web_order.papers.label", "") == ("under way",)
    assert lines(marks, "web_order.papers.label", "print") == ("◆ here",)
    assert lines(marks, "web_order.papers.invoice", "") == ("done",)
    assert ("web_order.papers.invoice", "invoice") not in marks
    assert lines(marks, "web_order", "charge") == ("charge: CAPTURED",)


def test_the_marks_of_a_group_in_a_branch_are_at_its_frame():
    children = [
        child("nested/lines_done", "nested.lines_done", "BEGIN_LINES_DONE", "waiting", 2),
        child("nested.lines_done/both", "nested.lines_done.both.look", "LOOKED", "completed", 2),
        child("nested.lines_done/both", "nested.lines_done.both.seven", "UNDOING_SEVEN", "compensating", 2),
    ]
    marks = branch_marks(NESTED, children, {"lines_done": 2})
    assert lines(marks, "nested.lines_done", "both") == ("◆ 2 here", "2 of 4 done, 2 going back")
    assert lines(marks, "nested.lines_done.both.seven", "seven") == ("◆ 2 going back",)


def drawn_run(name: str) -> tuple[str, str]:
    run = next(run for run in runs(WEB_ORDER) if run.name == name)
    return plantuml_sequence(run), mermaid_sequence(run)


def test_a_sequence_has_the_calls_of_the_branches_side_by_side_and_once_for_each_item():
    for drawn, beside in zip(drawn_run("success"), ("else invoice", "and invoice"), strict=True):
        order = ["loop for each of lines", "POST /", "end", "par label", "opt country is US", "GET /duties", "end"]
        order.append(beside)
        place = 0
        for words in order:
            assert words in drawn[place:], (words, drawn)
            place = drawn.index(words, place)
        assert "participant p_hold" not in drawn


def test_a_sequence_of_a_refused_group_undoes_what_its_branches_have_done():
    for drawn in drawn_run("hold-refused"):
        assert "a branch of hold is refused and the others stop" in drawn
        assert drawn.index("NOT_ALL_HELD") < drawn.index("undo hold") < drawn.index("CALLED_OFF")


@pytest.mark.programs
@pytest.mark.parametrize("saga", TABLES, ids=str)
def test_plantuml_renders_the_sequences_of_groups_without_a_warning(saga, tmp_path):
    files = [tmp_path / f"{run.name}.puml" for run in runs(saga)]
    for file, run in zip(files, runs(saga), strict=True):
        file.write_text(plantuml_sequence(run))
    command = ["plantuml", "-failfast2", "-tsvg", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "")
