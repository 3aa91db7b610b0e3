"""The transitions of the table that the path of a finding takes, for a drawing."""

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from machines.saga import Saga
from machines.step import Step
from machines.transitions import Transition
from machines.verify.search import Finding


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A move of the path."""

    source: str
    trigger: str
    dest: str
    reason: str | None = None
    actor: str = "engine"


def state_of(definition: Saga, finding: Finding) -> str:
    """Return the state in which the path ends. That of a flaw ends at the step that the flaw is about."""
    if finding.path:
        row = finding.path[-1][1].row
        return definition.initial if row is None else row.state
    return next(
        (name for name, at in definition.states.items() if at.step and not at.undoes and _is_in(finding.step, at.step)),
        definition.initial,
    )


def _is_in(name: str, step: Step) -> bool:
    """Return True for the name of a step, of a step of its branches, or of a saga that it starts (`pay.charge`)."""
    inner = [each for branch in (step.group.branches if step.group else ()) for each in branch.steps]
    return name == step.name or name.startswith(f"{step.name}.") or any(_is_in(name, each) for each in inner)


def route_of(definition: Saga, finding: Finding) -> list[Taken]:
    """Return the moves between the states that the path has stored, by the shortest way through the table."""
    states = [definition.initial, *(world.row.state for _, world in finding.path if world.row is not None)]
    states += [] if finding.path else [state_of(definition, finding)]
    return [
        Taken(source=each.source, trigger=each.trigger, dest=each.dest)
        for here, there in itertools.pairwise(states)
        for each in _way(definition, here, there)
    ]


def _way(definition: Saga, here: str, there: str) -> Iterator[Transition]:
    came: dict[str, Transition | None] = {here: None}
    queue = deque([here])
    while queue and there not in came:
        state = queue.popleft()
        for each in definition.transitions:
            if each.source == state and each.dest not in came:
                came[each.dest] = each
                queue.append(each.dest)
    way: list[Transition] = []
    while (last := came.get(there)) is not None:
        way.append(last)
        there = last.source
    yield from reversed(way)
