"""Write a saga's table as Markdown: its steps, its states and every transition."""

from collections.abc import Iterable

from diagrams.descriptions import KINDS, PHASES, POINT_OF_NO_RETURN, TRIGGERS, deadline_note, retry_note
from machines.retry import PERSISTENT
from machines.saga import Saga
from machines.step import Kind, Step


def _sent_again(step: Step) -> str:
    return retry_note(step, step.retry) if step.call else ""


def markdown(saga: Saga) -> str:
    steps = [
        (
            str(place),
            code(step.name),
            f"{step.kind}: {KINDS[step.kind]}",
            code(str(step.action)),
            _sent_again(step) + (f"; no answer: asks {code(str(step.probe))}" if step.probe else ""),
            code(str(step.undo)) if step.undo else "",
            retry_note(step, PERSISTENT) if step.undo else "",
        )
        for place, step in enumerate(saga.steps, 1)
    ]
    states = [
        (code(s.name), f"{s.phase}: {PHASES[s.phase]}", code(s.step.name) if s.step else "")
        for s in saga.states.values()
    ]
    transitions = [
        (
            code(transition.source),
            transition.trigger,
            code(transition.dest),
            code(str(transition.call)) if transition.call else "",
        )
        for transition in saga.transitions
    ]
    pivot = next((step for step in saga.steps if step.kind is Kind.PIVOT), None)
    line = f"The {POINT_OF_NO_RETURN} is {code(pivot.name)}." if pivot else "It has no point of no return."
    parts = [
        f"# {saga}",
        f"Begins in {code(saga.initial)}, ends in {code(saga.completed)} or {code(saga.compensated)}. {line}",
        deadline_note(saga),
        "## Steps",
        table(("#", "step", "kind", "call", "sent again", "undo", "undo sent again"), steps),
        "## States",
        table(("state", "phase", "step"), states),
        "## Rows",
        table(("source", "trigger", "dest", "call"), transitions),
        "## Triggers",
        table(("trigger", "meaning"), [(str(trigger), meaning) for trigger, meaning in TRIGGERS.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    every = [head, tuple("---" for _ in head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in every)


def code(words: str) -> str:
    """Return words as inline code in a table. Backticks, bars and line breaks would end it, so they are replaced."""
    return "`" + words.replace("`", "'").replace("|", "\\|").replace("\n", " ") + "`"
