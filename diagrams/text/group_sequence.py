"""The calls of a group's branches in a sequence diagram, which PlantUML and Mermaid write alike."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from diagrams.descriptions import group_words
from machines.step import Step


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a format writes what a group needs."""

    #: Replaces the characters with a meaning in the format.
    text: Callable[[str], str]
    #: Word between two branches: `else` or `and`.
    beside: str
    #: Writes a call and its answer: participant, words.
    call: Callable[[str, str], list[str]]


def group_lines(step: Step, form: Format, *, undo: bool = False) -> Iterator[str]:
    """Yield the lines of a group. undo: its branches are undone, each in reverse order."""
    group = step.group
    assert group is not None
    if group.over is not None:
        yield f"loop {form.text(group_words(group))}"
    for number, branch in enumerate(group.branches):
        if group.over is None:
            yield f"{form.beside if number else 'par'} {form.text(branch.name)}"
        for each in reversed(branch.steps) if undo else branch.steps:
            yield from _step_lines(each, form, undo=undo)
    yield "end"


def participants_of(step: Step) -> list[str]:
    """Return the participants that the branches of a group call, and the sagas that they start."""
    return list(dict.fromkeys(_called(step)))


def _called(step: Step) -> Iterator[str]:
    for branch in step.group.branches if step.group else ():
        for each in branch.steps:
            if each.group is not None:
                yield from _called(each)
            elif each.call is not None:
                yield each.call.participant


def _step_lines(step: Step, form: Format, *, undo: bool) -> Iterator[str]:
    if step.when is not None:
        yield f"opt {form.text('was not skipped' if undo else str(step.when))}"
    call = step.undo if undo else step.call
    if step.group is not None:
        yield from group_lines(step, form, undo=undo)
    elif call is not None:
        yield from form.call(
            call.participant, f"{'undo ' if undo else ''}{step.name}: {call.method} {call.path}".strip()
        )
    if step.when is not None:
        yield "end"
