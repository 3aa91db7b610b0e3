"""Choices: steps whose conditions exclude each other, and what an author should know about them."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from machines.check_scope import Scope
from machines.check_when import types_of
from machines.condition_logic import Sample, example, subjects
from machines.conditions import Condition, guarded
from machines.conditions import shown as in_words
from machines.step import Step
from machines.table import Table


def choice_notes(table: Table) -> Iterator[str]:
    """Yield a note for each choice that may do several of its steps, or none of them.

    A choice is a row of steps, one after the other, whose conditions compare the same values. Nothing is said where
    nothing is certain: about values that are computed, and about too many values.
    """
    for names, found in groupby(table.steps, lambda step: step.when and frozenset(subjects([step.when]))):
        steps = list(found)
        if not names or len(steps) < 2:  # noqa: PLR2004  one step is no choice
            continue
        conditions = [step.when for step in steps if step.when]
        if all(isinstance(value, str) for each in conditions for _, value, _context in guarded(each)):
            yield from _notes(Scope(table, steps[0], table.steps), steps, conditions)


def _notes(scope: Scope, steps: Sequence[Step], conditions: Sequence[Condition]) -> Iterator[str]:
    types = types_of(scope, conditions)
    try:
        for (one, first), (other, second) in pairwise(zip(steps, conditions, strict=True)):
            if both := example([first, second], [], types):
                yield f"steps {one.name} and {other.name} are both done, for example when {_in_words(both)}"
        if (none := example([], conditions, types)) is not None:
            every = ", ".join(step.name for step in steps)
            yield f"none of the steps {every} is done, for example when {_in_words(none)}"
    except OverflowError:
        return


def _in_words(sample: Sample) -> str:
    return " and ".join(f"{name} is {in_words(value)}" for name, value in sample.items())
