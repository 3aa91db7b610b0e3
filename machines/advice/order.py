"""The order of steps that would compensate least, as far as references allow.

A saga that fails at a step undoes the steps before it. So a step that is refused often belongs early, and a step with
an undo late. The odds of the steps are taken to be independent. Waits, pauses and children keep their place, and so do
the pivot and the steps after it. The best order of up to LARGEST steps is exact: it is found over all sets of steps
that can come first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from machines.check import TableError
from machines.conditions import references_of
from machines.references import split
from machines.saga import Saga
from machines.step import Kind, Step

#: Most steps in a row whose best order is searched: 2 ** 12 sets.
LARGEST = 12
#: Kinds of the steps that may change their places.
_MOVABLE = (Kind.READ, Kind.COMPENSATABLE)


@dataclass(frozen=True)
class Odds:
    """What past sagas say about a step. back: the share of the sagas that tried it and that it made go back.

    tried: the share of the sagas that came to it and tried it; the others skipped it (`when=`).
    """

    back: float
    tried: float = 1.0

    @property
    def ends(self) -> float:
        """The share of the sagas that came to the step and that it made go back."""
        return self.tried * self.back

    @property
    def done(self) -> float:
        """The share of the sagas that passed the step and have done it."""
        return self.tried * (1 - self.back) / (1 - self.ends) if self.ends < 1 else 0.0


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order of the steps of a table, and how many undos it is expected to cost."""

    steps: tuple[str, ...]
    #: Expected number of undos of one saga.
    undos: float


def expected_undos(steps: Sequence[Step], odds: Mapping[str, Odds]) -> float:
    """Return how many undos one saga is expected to cost in this order."""
    reached, to_undo, total = 1.0, 0.0, 0.0
    for step in steps:
        total += reached * odds[step.name].ends * to_undo
        reached *= 1 - odds[step.name].ends
        to_undo += _to_undo(step, odds)
    return total


def best_order(definition: Saga, odds: Mapping[str, Odds]) -> Order:
    """Return the legal order with the fewest expected undos; the present order when no other one is legal or better."""
    steps: list[Step] = []
    for movable, group in _groups(definition.steps):
        steps += _best(group, odds, sum(_to_undo(step, odds) for step in steps)) if movable else group
    best = [step.name for step in steps]
    if expected_undos(steps, odds) >= expected_undos(definition.steps, odds) - 1e-9 or not legal(definition, best):
        steps = list(definition.steps)
    return Order(steps=tuple(step.name for step in steps), undos=expected_undos(steps, odds))


def with_first(definition: Saga, name: str) -> tuple[str, ...]:
    """Return the present order with one step as early as its references and the waits before it allow."""
    steps = list(definition.steps)
    place = next(number for number, step in enumerate(steps) if step.name == name)
    step = steps[place]
    while place and steps[place - 1].kind in _MOVABLE and steps[place - 1].name not in needs(step):
        steps[place - 1], steps[place] = step, steps[place - 1]
        place -= 1
    return tuple(each.name for each in steps)


def legal(definition: Saga, order: Sequence[str]) -> bool:
    """Return True when check() accepts the table with its steps in this order."""
    by_name = {step.name: step for step in definition.steps}
    steps = [by_name[name] for name in order]
    last = next(place for place, step in enumerate(steps) if step.done == definition.completed)
    if last != len(steps) - 1:  # the last step ends in the state of completed=
        steps[last], steps[-1] = (
            replace(steps[last], done=steps[-1].done),
            replace(steps[-1], done=definition.completed),
        )
    try:
        replace(definition, steps=tuple(steps), version=definition.version + 1)
    except TableError:
        return False
    return True


def needs(step: Step) -> frozenset[str]:
    """Return the first words of the references of a step: the steps that must come before it are among them."""
    named = [reference for call in step.calls for reference in call.references]
    named += references_of(step.when) if step.when is not None else ()
    return frozenset(root for root, _ in map(split, named) if root is not None and root != step.name)


def _groups(steps: Sequence[Step]) -> Iterator[tuple[bool, list[Step]]]:
    """Yield the steps in rows whose steps may change places, and in rows that keep their order."""
    row: list[Step] = []
    movable, forward_only = True, False
    for step in steps:
        forward_only = forward_only or step.kind in (Kind.PIVOT, Kind.RETRIABLE)
        moves = step.kind in _MOVABLE and not forward_only
        if row and moves != movable:
            yield movable, row
            row = []
        movable = moves
        row.append(step)
    if row:
        yield movable, row


def _to_undo(step: Step, odds: Mapping[str, Odds]) -> float:
    """Return how many undos the step adds to a saga that has passed it."""
    return odds[step.name].done if step.undo is not None else 0.0


def _best(group: Sequence[Step], odds: Mapping[str, Odds], before_row: float) -> Sequence[Step]:
    """Return the best order of a row. before_row: how many undos the steps before the row add."""
    if len(group) > LARGEST:
        return group
    before = [_before(step, group) for step in group]
    # Set of steps that come first, as bits → expected undos and order of the best way to do them first. A set decides
    # how likely the saga comes through it, and how many undos it has, whatever the order within it.
    found: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for _ in group:
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for bits, (undos, order) in found.items():
            reached, to_undo = 1.0, before_row
            for place in order:
                reached *= 1 - odds[group[place].name].ends
                to_undo += _to_undo(group[place], odds)
            for place, step in enumerate(group):
                if bits >> place & 1 or before[place] & ~bits:
                    continue
                total = undos + reached * odds[step.name].ends * to_undo
                known = longer.get(bits | 1 << place)
                # Of equal orders, the one that is nearest to the table wins.
                if known is None or (round(total, 12), (*order, place)) < (round(known[0], 12), known[1]):
                    longer[bits | 1 << place] = (total, (*order, place))
        found = longer
    ((_, order),) = found.values()
    return [group[place] for place in order]


def _before(step: Step, group: Sequence[Step]) -> int:
    """Return, as bits, the steps of a row that must come before a step."""
    return sum(1 << place for place, each in enumerate(group) if each.name in needs(step))
