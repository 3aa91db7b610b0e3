"""A table as a PlantUML state diagram: every row is an arrow, or a line in the state that it does not leave."""

import re

from diagrams.descriptions import PHASES, POINT_OF_NO_RETURN, QUARANTINE, TIMES, notes, shape_of, way_of
from diagrams.step_bands import Places, places
from machines.rows import Row
from machines.saga import Saga
from machines.step import Kind

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
    rows, stands = saga.rows, places(saga)
    lines = ["@startuml", SKIN, f"title {text(str(saga))}", f"[*] --> {_alias(saga.initial)}"]
    lines += [f'state "{text(s.name)}" as {_alias(s.name)} <<{shape_of(saga, s)}>>' for s in rows.states.values()]
    lines += [_stays(row) if row.source == row.dest else _arrow(saga, row, stands) for row in rows.rows]
    lines += [f"{_alias(end)} --> [*]" for end in (saga.completed, saga.compensated)]
    for state in rows.states.values():
        if state.call and state.step:
            said = [text(line) for line in notes(state)]
            said += [f"<b>{POINT_OF_NO_RETURN}</b>"] if state.step.kind is Kind.PIVOT else []
            note = "\\n".join(said)
            lines.append(f"note left of {_alias(state.name)} : {note}")
    lines += ["legend right", *(f"| {phase} | {says} |" for phase, says in PHASES.items()), "endlegend"]
    return "\n".join([*lines, "@enduml", ""])


def _arrow(saga: Saga, row: Row, stands: Places) -> str:
    line = f"-[{_WAYS[way_of(saga.rows, row)]}]{_direction(saga, row, stands)}->"
    call = f"\\n{text(str(row.call))}" if row.call else ""
    return f"{_alias(row.source)} {line} {_alias(row.dest)} : {row.trigger}{call}"


def _stays(row: Row) -> str:
    """Write a move that leaves the state as it is inside the state: PlantUML would draw loops over their own words."""
    return f"{_alias(row.source)} : {row.trigger}{f' / {text(str(row.call))}' if row.call else ''}"


def _direction(saga: Saga, row: Row, stands: Places) -> str:
    """Say which way an arrow points, so that forward runs down and the way back stands at its side."""
    if way_of(saga.rows, row) in ("fail", "lost"):
        return "down"  # several side by side: PlantUML would write their words over each other
    (source_row, source_column), (dest_row, dest_column) = (stands[state] for state in (row.source, row.dest))
    if source_row == dest_row:
        return "left" if dest_column < source_column else "right"
    return "up" if dest_row < source_row else "down"


def _alias(state: str) -> str:
    """Keep a state that is called `end` or `note` from being read as a word of PlantUML."""
    return f"s_{state}"


def text(words: str) -> str:
    """Write what PlantUML would take for markup as code points."""
    return re.sub(rf"[^\w /.,{{}}(){TIMES}-]|(?<=([/_-]))\1", lambda found: f"<U+{ord(found[0]):04X}>", words)
