"""Steps that may be refused when there is no way back, although they could stand before the point of no return."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from machines.children import Branch, Group
from machines.outcomes import Outcome
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Kind, Step
from machines.verify.flaw import Flaw, roots_of

TOO_EARLY = "pivot too early"
_NO_WAY_BACK = (Kind.PIVOT, Kind.RETRIABLE)
_NO_UNDO = "From here the saga only goes forward."


class _Refusal(NamedTuple):
    """A step that may be refused."""

    step: str
    #: How the table itself says so.
    how: str


def pivots_too_early(definition: Saga, registry: Registry) -> Iterator[Flaw]:
    """Yield each step of a table that may be refused when there is no way back."""
    behind = list(_behind(definition, registry))
    yield from behind
    for step in definition.steps:
        if step.group is not None and step.name not in {flaw.step for flaw in behind}:
            yield from _beside(step, step.group, registry)


def _behind(definition: Saga, registry: Registry) -> Iterator[Flaw]:
    """Yield each step after the point of no return that may be refused, although it could stand before."""
    steps = definition.steps
    number = next((number for number, step in enumerate(steps) if step.kind in _NO_WAY_BACK), None)
    if number is None:
        return
    first, later = _point(steps[number]), {step.name for step in steps[number:]}
    for step in steps[number + 1 :]:
        refusal = _refusal(step, registry)
        if refusal is None or roots_of(step) & later:
            continue
        why = f"{refusal.step} {refusal.how}, after the point of no return {first}: the saga is stuck"
        path = (
            f"{first} is done. {_NO_UNDO}",
            f"{refusal.step} is refused.",
            f"The saga is stuck. Nothing that {step.name} needs comes from {first}: let it stand before.",
        )
        yield Flaw(TOO_EARLY, step.name, why, path)


def _beside(step: Step, group: Group, registry: Registry) -> Iterator[Flaw]:
    """Yield each step of a branch that may be refused while another branch has passed its point of no return."""
    for branch in group.branches:
        first = next((each for each in branch.steps if each.kind in _NO_WAY_BACK), None)
        if first is None:
            continue
        point = _point(first)
        for other, refusal in _refusals_beside(group, branch, first, registry):
            where = "for another item" if group.over is not None else f"in the branch {branch.name}"
            why = f"{refusal.step} {refusal.how}, and meanwhile {point} may be done {where}: the saga is stuck"
            path = (
                f"{point} is done {where}. {_NO_UNDO}",
                f"{refusal.step} is refused.",
                f"The saga is stuck in {step.name}. Let {other.name} stand before {step.name}.",
            )
            yield Flaw(TOO_EARLY, other.name, why, path)


def _refusals_beside(
    group: Group, branch: Branch, first: Step, registry: Registry
) -> Iterator[tuple[Step, _Refusal]]:  # fmt: skip
    """Yield the steps of other branches, or of other items, that may be refused beside a point of no return."""
    before: Sequence[Step] = branch.steps[: branch.steps.index(first)] if group.over is not None else ()
    others = [each for other in group.branches if other is not branch for each in other.steps]
    for step in (*before, *others):
        refusal = _refusal(step, registry, compensatables=True)
        if refusal is not None:
            yield step, refusal


def _point(step: Step) -> str:
    """Return the name of a point of no return: that of a step within the branches, when it is there."""
    steps = [each for branch in (step.group.branches if step.group else ()) for each in branch.steps]
    return next((_point(each) for each in steps if each.kind in _NO_WAY_BACK), step.name)


def _refusal(step: Step, registry: Registry, *, compensatables: bool = False) -> _Refusal | None:
    """Return which step may be refused: this one, or one of its children; None when the table does not say so.

    compensatables: True: count a compensatable or a pivot, which a 4xx refuses.
    """
    if step.starts is not None:
        inner = _steps_of_children(step, registry)
        found = next((each for each in (_refusal(each, registry, compensatables=True) for each in inner) if each), None)
        return found if found is None or step.group is not None else found._replace(step=f"{step.name}.{found.step}")
    how = _how(step)
    if not how and compensatables and step.refused and step.kind in (Kind.COMPENSATABLE, Kind.PIVOT):
        how = f"is a {step.kind} that may be refused"
    return _Refusal(step.name, how) if how else None


def _steps_of_children(step: Step, registry: Registry) -> Sequence[Step]:
    if step.group is not None:
        return [each for branch in step.group.branches for each in branch.steps]
    return registry.latest(str(step.starts)).steps


def _how(step: Step) -> str:
    """Return how the table itself says that a step may be refused; "" when it does not."""
    if step.kind is Kind.READ:
        return "is a read that may be refused"
    if step.call is not None and step.call.named_outcomes & {Outcome.REFUSED, Outcome.REFUSED_UNDO}:
        return "may be refused by its means="
    if step.kind is Kind.WAIT and any(
        Outcome.REFUSED in each.values() for each in (step.waits.means if step.waits else {}).values()
    ):
        return "waits for a signal that may refuse"
    return ""
