"""Each text format, parsed again, has exactly the transitions of the machine."""

import re
from collections import Counter
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from diagrams.picture.svg import svg
from diagrams.text.plantuml import plantuml
from machines.checkout import CHECKOUT
from machines.purchase import PURCHASE
from machines.saga import Saga
from tests.unit.diagrams.readers import READERS, Rows, of_machine


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
