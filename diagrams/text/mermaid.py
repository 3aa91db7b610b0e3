"""Write a saga's table as a Mermaid state diagram. Every transition is an arrow."""

import re

from diagrams.descriptions import POINT_OF_NO_RETURN, TIMES, condition_of, named, notes, shape_of
from diagrams.text.branch_outline import frames
from diagrams.text.composite import composite
from machines.saga import Saga
from machines.step import Kind

CLASSES = """\
  classDef forward fill:#e6f1f8,stroke:#0072b2,stroke-width:2px,color:#111
  classDef waiting fill:#ffffff,stroke:#5a6570,stroke-dasharray:6 3,color:#111
  classDef passing fill:#ffffff,stroke:#0072b2,stroke-dasharray:2 2,color:#111
  classDef failure fill:#fbe6da,stroke:#d55e00,stroke-width:2px,color:#111
  classDef undoing fill:#fdf1d5,stroke:#b27a00,stroke-width:2px,stroke-dasharray:7 3,color:#111
  classDef stuck fill:#f6e1ee,stroke:#a8447c,stroke-width:4px,color:#111
  classDef quarantine fill:#ffffff,stroke:#9aa3ad,stroke-dasharray:1 3,color:#5a6570,font-size:11px
  classDef completed fill:#d9f0e8,stroke:#007a59,stroke-width:4px,color:#111
  classDef compensated fill:#eef0f2,stroke:#5a6570,stroke-width:4px,color:#111"""


def mermaid(saga: Saga) -> str:
    states = saga.states.values()
    lines = [f"%% {text(str(saga))}", "stateDiagram-v2", "  direction TB", CLASSES]
    lines += [
        f'  state "{text(named(saga.titles.get(state.name, ""), state.name))}" as {_alias(state.name)}'
        for state in states
    ]
    lines.append(f"  [*] --> {_alias(saga.initial)}")
    for transition in saga.transitions:
        call = "".join(f" {text(words)}" for words in (condition_of(transition), str(transition.call or "")) if words)
        lines.append(f"  {_alias(transition.source)} --> {_alias(transition.dest)} : {transition.trigger}{call}")
    lines += [f"  {_alias(end)} --> [*]" for end in (saga.completed, saga.compensated)]
    for state in states:
        if (state.action and state.step) or state.at_end:
            said = [*notes(state), *([POINT_OF_NO_RETURN] if state.step and state.step.kind is Kind.PIVOT else [])]
            note = " - ".join(map(text, said))
            lines.append(f"  note left of {_alias(state.name)} : {note}")
    for frame in frames(saga):
        lines += composite(frame, text, "  ")
        lines += [f"  {_alias(frame.state or '')} --> {frame.id}", f"  {frame.id} --> {_alias(frame.done)}"]
    lines += [f"  class {_alias(state.name)} {shape_of(saga, state)}" for state in states]
    return "\n".join([*lines, ""])


def _alias(state: str) -> str:
    """Return an alias for a state, because Mermaid would read the name `end` or `class` as a keyword."""
    return f"s_{state}"


def text(words: str) -> str:
    """Return words in which each character with a meaning in Mermaid is replaced by an entity."""
    return re.sub(rf"[^\w /.,{TIMES}-]|--+", lambda found: "".join(f"#{ord(sign)};" for sign in found[0]), words)
