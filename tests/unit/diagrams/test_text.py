"""Each text format, parsed again, has exactly the transitions of the machine."""

import re
from collections import Counter
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from diagrams.picture.svg import svg
from diagrams.text.graphviz import graphviz
from diagrams.text.markdown import markdown
from diagrams.text.mermaid import mermaid
from diagrams.text.plantuml import plantuml
from machines.checkout import CHECKOUT
from machines.machine import SagaMachine
from machines.purchase import PURCHASE
from machines.saga import Saga
from machines.transitions import NOWHERE

Rows = Counter[tuple[str, str, str]]


def of_machine(saga: Saga) -> Rows:
    """Return the transitions between two different states. The diagrams draw START as a symbol, not as a state."""
    machine = SagaMachine(saga)
    return Counter(
        (transition.source, trigger, transition.dest)
        for trigger in machine.events
        for transition in machine.get_transitions(trigger)
        if transition.source != NOWHERE
    )


def of_plantuml(text: str) -> Rows:
    arrows = re.findall(r"^s_(\w+) -\[\S+\](?:up|down|left|right)-> s_(\w+) : (\w+)", text, re.MULTILINE)
    inside = re.findall(r"^s_(\w+) : (\w+) / ", text, re.MULTILINE)
    stays = [(state, trigger, state) for state, trigger in inside]
    return Counter([*((source, trigger, dest) for source, dest, trigger in arrows), *stays])


def of_graphviz(text: str) -> Rows:
    arrows = re.findall(r'^  "(\w+)" -> "(\w+)" \[label="(\w+?)(?:\\n|")', text, re.MULTILINE)
    return Counter((source, trigger, dest) for source, dest, trigger in arrows)


def of_mermaid(text: str) -> Rows:
    arrows = re.findall(r"^  s_(\w+) --> s_(\w+) : (\w+)", text, re.MULTILINE)
    return Counter((source, trigger, dest) for source, dest, trigger in arrows)


def of_markdown(text: str) -> Rows:
    table = text.partition("## Rows")[2].partition("## ")[0]
    cells = [re.split(r" \| |^\| | \|$", line)[1:4] for line in table.strip().splitlines()[2:]]
    return Counter((source.strip("`"), trigger, dest.strip("`")) for source, trigger, dest in cells)


READERS = {plantuml: of_plantuml, graphviz: of_graphviz, mermaid: of_mermaid, markdown: of_markdown}


@pytest.mark.parametrize("render", READERS, ids=lambda render: render.__name__)
def test_a_diagram_has_the_rows_of_the_machine(saga: Saga, render: Callable[[Saga], str]):
    assert READERS[render](render(saga)) == of_machine(saga)


def test_plantuml_draws_no_arrow_from_a_state_to_itself(saga: Saga):
    """PlantUML would write the texts of two such arrows on top of each other."""
    assert re.findall(r"^(s_\w+) -\S*-> \1 :.*", plantuml(saga), re.MULTILINE) == []


@pytest.mark.parametrize("render", READERS, ids=lambda render: render.__name__)
def test_no_character_of_a_table_breaks_a_format(hostile: Saga, render: Callable[[Saga], str]):
    assert READERS[render](render(hostile)) == of_machine(hostile)


def test_picture_has_each_transition_as_an_edge_or_in_its_box(saga: Saga):
    edges, loops = svg_rows(svg(saga))
    expected = of_machine(saga)
    assert edges == Counter(row for row in expected if row[0] != row[2])
    assert loops == Counter(row for row in expected if row[0] == row[2])


def test_no_character_of_a_table_breaks_the_picture(hostile: Saga):
    edges, loops = svg_rows(svg(hostile))
    assert edges + loops == of_machine(hostile)


def test_every_call_is_written_at_its_edge(saga: Saga):
    drawn = "\n".join(title.text or "" for title in titles(svg(saga)))
    for transition in saga.transitions:
        if transition.call and transition.source != transition.dest:
            assert f"{transition.source} —{transition.trigger}→ {transition.dest} ({transition.call})" in drawn


@pytest.mark.parametrize("render", READERS, ids=lambda render: render.__name__)
def test_probe_is_written_at_its_step(render: Callable[[Saga], str]):
    assert "GET ventes/ventes/outcome" in render(CHECKOUT)
    assert "no answer" not in render(PURCHASE)


def titles(text: str) -> list[ET.Element]:
    return list(ET.fromstring(text).iter("{http://www.w3.org/2000/svg}title"))


def svg_rows(text: str) -> tuple[Rows, Rows]:
    tooltips = "\n".join(title.text or "" for title in titles(text))
    edges = re.findall(r"^(\w+) —(\w+)→ (\w+)", tooltips, re.MULTILINE)
    loops = []
    for title in titles(text):
        state, *lines = (title.text or "").splitlines() or [""]
        name = state.partition(":")[0]
        loops += [(name, line.partition(":")[0], name) for line in lines if ": stays here" in line]
    return Counter(edges), Counter(loops)
