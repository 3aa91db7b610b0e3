"""Readers of the text formats: each returns the transitions that a drawn table has."""

import re
from collections import Counter

from diagrams.text.graphviz import graphviz
from diagrams.text.markdown import markdown
from diagrams.text.mermaid import mermaid
from diagrams.text.plantuml import plantuml
from machines.machine import SagaMachine
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
