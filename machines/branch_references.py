"""What the steps of a branch refer to outside the branch: data of its saga, and replies of earlier steps."""

from collections.abc import Callable, Iterable, Iterator

from machines.children import INDEX, ITEM
from machines.conditions import references_of
from machines.references import SAGA, parts, split
from machines.step import Step


def outer_references(steps: tuple[Step, ...]) -> Iterator[tuple[str, bool]]:
    """Yield the first part of each reference of the steps to something outside them.

    With it, True when the reference is this part alone: then it names a field of data, also when a step has its name.
    """
    own: set[str] = {SAGA}
    for step in steps:
        own |= {step.name}
        yield from _outside(own, ((parts(each)[0], "." not in each) for each in _references(step)))
        if step.group is None:
            continue
        below = ((root, alone) for branch in step.group.branches for root, alone in outer_references(branch.steps))
        inner = {ITEM, INDEX} if step.group.over is not None else set()  # each() has an item of its own
        yield from _outside(own, ((root, alone) for root, alone in below if root not in inner))


def fields_outside(step: Step, references: Callable[[Step], Iterable[str]]) -> Iterator[tuple[str, str]]:
    """Yield step and field of each reference in the branches of a step to a reply outside them.

    references: returns the references of a step that count.
    """
    for branch in step.group.branches if step.group is not None else ():
        own = {each.name for each in branch.steps}
        own |= {ITEM, INDEX} if step.group is not None and step.group.over is not None else set()
        for each in branch.steps:
            for root, field in (*map(split, references(each)), *fields_outside(each, references)):
                if root is not None and root not in own:
                    yield root, field


def _outside(own: set[str], found: Iterator[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    return ((root, alone) for root, alone in found if alone or root not in own)


def _references(step: Step) -> Iterator[str]:
    for call in step.calls:
        yield from call.references
    if step.when is not None:
        yield from references_of(step.when)
    if step.waits is not None and step.waits.until is not None:
        yield step.waits.until
    if step.group is not None and step.group.over is not None:
        yield step.group.over
    if step.amount is not None:
        yield step.amount.reference
