"""Write a saga's table as a PlantUML state diagram. A transition is an arrow, or a line inside its state."""

import re

from diagrams.descriptions import (
    POINT_OF_NO_RETURN,
    QUARANTINE,
    TIMES,
    condition_of,
    edge_kind,
    named,
    notes,
    phases_of,
    shape_of,
)
from diagrams.step_bands import GridPositions, grid_positions
from diagrams.text.branch_outline import frames
from diagrams.text.composite import composite
from machines.saga import Saga
from machines.step import Kind
from machines.transitions import Transition

SKIN = """\
hide empty description
skinparam shadowing false
skinparam defaultFontName sans-serif
skinparam state {
  BackgroundColor #E6F1F8
  BorderColor #0072B2
  BackgroundColor<<failure>> #FBE6DA
  BorderColor<<failure>> #D55E00
  BackgroundColor<<undoing>> #FDF1D5
  BorderColor<<undoing>> #B27A00
  BackgroundColor<<stuck>> #F6E1EE
  BorderColor<<stuck>> #A8447C
  BackgroundColor<<quarantine>> #FFFFFF
  BorderColor<<quarantine>> #9AA3AD
  FontColor<<quarantine>> #5A6570
  BackgroundColor<<completed>> #D9F0E8
  BorderColor<<completed>> #007A59
  BackgroundColor<<compensated>> #EEF0F2
  BorderColor<<compensated>> #5A6570
  BackgroundColor<<passing>> #FFFFFF
  BackgroundColor<<waiting>> #FFFFFF
  BorderColor<<waiting>> #5A6570
}
skinparam legendBackgroundColor #FFFFFF
skinparam noteBackgroundColor #FFFFFF
skinparam noteBorderColor #9AA3AD"""

_WAYS = {
    "forward": "#0072B2,bold",
    "fail": "#D55E00",
    "back": "#B27A00,dashed",
    "lost": "#A8447C",
    "person": "#A8447C,dotted",
    QUARANTINE: "#9AA3AD,dotted",
}


def plantuml(saga: Saga) -> str:
    positions = grid_positions(saga)
    lines = ["@startuml", SKIN, f"title {text(str(saga))}", f"[*] --> {_alias(saga.initial)}"]
    for state in saga.states.values():
        words = text(named(saga.titles.get(state.name, ""), state.name))
        lines.append(f'state "{words}" as {_alias(state.name)} <<{shape_of(saga, state)}>>')
    lines += [
        _stays(transition) if transition.source == transition.dest else _arrow(saga, transition, positions)
        for transition in saga.transitions
    ]
    lines += [f"{_alias(end)} --> [*]" for end in (saga.completed, saga.compensated)]
    for state in saga.states.values():
        if (state.action and state.step) or state.at_end:
            said = [text(line) for line in notes(state)]
            said += [f"<b>{POINT_OF_NO_RETURN}</b>"] if state.step and state.step.kind is Kind.PIVOT else []
            note = "\\n".join(said)
            lines.append(f"note left of {_alias(state.name)} : {note}")
    for frame in frames(saga):
        lines += composite(frame, text, "")
        lines += [
            f"{_alias(frame.state or '')} -[#5A6570,dashed]-> {frame.id}",
            f"{frame.id} -[#5A6570,dashed]-> {_alias(frame.done)}",
        ]
    lines += ["legend right", *(f"| {phase} | {says} |" for phase, says in phases_of(saga).items()), "endlegend"]
    return "\n".join([*lines, "@enduml", ""])


def _arrow(saga: Saga, transition: Transition, positions: GridPositions) -> str:
    line = f"-[{_WAYS[edge_kind(saga, transition)]}]{_direction(saga, transition, positions)}->"
    call = "".join(f"\\n{text(words)}" for words in (condition_of(transition), str(transition.call or "")) if words)
    return f"{_alias(transition.source)} {line} {_alias(transition.dest)} : {transition.trigger}{call}"


def _stays(transition: Transition) -> str:
    """Return the line for a transition that stays in its state. PlantUML would draw a loop over its label."""
    call = f" / {text(str(transition.call))}" if transition.call else ""
    return f"{_alias(transition.source)} : {transition.trigger}{call}"


def _direction(saga: Saga, transition: Transition, positions: GridPositions) -> str:
    """Return the direction of an arrow, so that forward states come below each other and compensations beside them."""
    if edge_kind(saga, transition) in ("fail", "lost"):
        return "down"  # PlantUML overlaps the labels of several arrows that point to the side
    (source_row, source_column), (dest_row, dest_column) = (
        positions[state] for state in (transition.source, transition.dest)
    )
    if source_row == dest_row:
        return "left" if dest_column < source_column else "right"
    return "up" if dest_row < source_row else "down"


def _alias(state: str) -> str:
    """Return an alias for a state, because PlantUML would read the name `end` or `note` as a keyword."""
    return f"s_{state}"


def text(words: str) -> str:
    """Return words in which each character with a meaning in PlantUML is replaced by its code point."""
    return re.sub(rf"[^\w /.,{{}}(){TIMES}-]|(?<=([/_-]))\1", lambda found: f"<U+{ord(found[0]):04X}>", words)
