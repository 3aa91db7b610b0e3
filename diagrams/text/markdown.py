"""Write a saga's table as Markdown: its steps, its states and every transition."""

from collections.abc import Iterable, Mapping

from diagrams.descriptions import (
    KINDS,
    MEANINGS,
    PHASES,
    POINT_OF_NO_RETURN,
    deadline_note,
    group_words,
    meanings,
    recovery_note,
    retry_note,
    triggers_of,
)
from machines.branches import branches_with_step
from machines.retry import Retry
from machines.saga import Saga
from machines.step import Kind, Step
from machines.transitions import State


def markdown(saga: Saga) -> str:
    retries = {(s.step.name, s.undoes): s.retry for s in saga.states.values() if s.call and s.step}
    steps = [
        (
            str(place),
            " ".join(filter(None, (step.title, code(step.name)))),
            f"{step.kind}: {KINDS[step.kind]}" + (f"; only when {step.when}" if step.when else ""),
            code(str(step.action)),
            _sent_again(step, retries)
            + (f"; no answer: asks {code(str(step.probe))}" if step.probe else "")
            + (f"; accepted: asks {code(str(step.poll))}" if step.poll else ""),
            code(str(step.undo)) + (f"; {recovery_note(step)}" if step.undo_needs_reply else "") if step.undo else "",
            retry_note(step, retries[step.name, True]) if step.undo and not step.starts else "",
        )
        for place, step in enumerate(saga.steps, 1)
    ]
    states = [
        (
            " ".join(filter(None, (saga.titles.get(s.name), code(s.name)))),
            f"{s.phase}: {_waits_for(s) or PHASES[s.phase]}{_after_end(s)}",
            code(s.step.name) if s.step else "",
        )
        for s in saga.states.values()
    ]
    transitions = [
        (
            code(transition.source),
            transition.trigger,
            code(transition.dest),
            code(str(transition.call)) if transition.call else str(transition.when or ""),
        )
        for transition in saga.transitions
    ]
    pivot = next((step for step in saga.steps if step.kind is Kind.PIVOT), None)
    line = f"The {POINT_OF_NO_RETURN} is {code(pivot.name)}." if pivot else "It has no point of no return."
    parts = [
        f"# {saga.title or saga}" + (f" ({saga})" if saga.title else ""),
        f"Begins in {code(saga.initial)}, ends in {code(saga.completed)} or {code(saga.compensated)}. {line}",
        deadline_note(saga),
        "## Steps",
        table(("#", "step", "kind", "call", "sent again", "undo", "undo sent again"), steps),
        *_replies(saga),
        *_branches(saga),
        "## States",
        table(("state", "phase", "step"), states),
        "## Rows",
        table(("source", "trigger", "dest", "call"), transitions),
        "## Triggers",
        table(("trigger", "meaning"), [(str(trigger), meaning) for trigger, meaning in triggers_of(saga).items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _branches(saga: Saga) -> list[str]:
    """Return the section about the branches of groups; nothing for a table without groups."""
    lines = [
        (
            code(table_of_branch.name),
            group_words(step.group),
            code(each.name),
            code(str(each.action)) + (f"; only when {each.when}" if each.when else ""),
            code(str(each.undo)) if each.undo else "",
        )
        for table_of_branch, step in branches_with_step(saga)
        for each in table_of_branch.steps
        if step.group
    ]
    return ["## Branches", table(("branch", "runs", "step", "call", "undo"), lines)] if lines else []


def _sent_again(step: Step, retries: Mapping[tuple[str, bool], Retry]) -> str:
    """Return the retries of the step's call. retries: (name of the step, True for its undo) → retries."""
    return retry_note(step, retries[step.name, False]) if step.call and not step.starts else ""


def _waits_for(state: State) -> str:
    return str(state.waits) if state.awaits_answer or state.awaits_child else ""


def _after_end(state: State) -> str:
    return f"; then {code(str(state.at_end))}, until it is delivered" if state.at_end else ""


def _replies(saga: Saga) -> list[str]:
    """Return the section about the replies that `means=` gives a meaning; nothing when no call has such replies."""
    called = [call for step in saga.steps for call in step.calls]
    calls = {str(call): call for call in (*called, *saga.at_end.values())}
    lines = [
        (code(name), code(reply), MEANINGS[outcome])
        for name, call in calls.items()
        for reply, outcome in meanings(call)
    ]
    return ["## Replies", table(("call", "reply", "meaning"), lines)] if lines else []


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    every = [head, tuple("---" for _ in head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in every)


def code(words: str) -> str:
    """Return words as inline code in a table. Backticks, bars and line breaks would end it, so they are replaced."""
    return "`" + words.replace("`", "'").replace("|", "\\|").replace("\n", " ") + "`"
