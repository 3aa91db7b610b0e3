"""A flaw in the design of a table, and what the checks of a design share."""

from collections.abc import Iterator
from typing import NamedTuple

from machines.branch_references import outer_references
from machines.conditions import required_references
from machines.references import split
from machines.step import Step


class Flaw(NamedTuple):
    """A fault in the design of a table."""

    property: str
    step: str
    why: str
    #: How a saga comes there, in sentences.
    path: tuple[str, ...]
    #: See `Finding.subject`.
    subject: str = ""


def references_of(step: Step) -> Iterator[str]:
    """Yield what a step refers to when it acts or asks; not what its undo refers to."""
    for call in (step.call, step.probe):
        yield from call.references if call else ()
    yield from required_references(step.when) if step.when else ()


def roots_of(step: Step) -> set[str]:
    """Return the first part of each reference of a step, and of the steps of its branches to something outside."""
    roots = {split(each)[0] or each for each in references_of(step)}
    if step.group is None:
        return roots
    if step.group.over is not None:
        roots.add(split(step.group.over)[0] or step.group.over)
    return roots.union(*({root for root, _ in outer_references(branch.steps)} for branch in step.group.branches))
