"""The transitions of the table that the path of a finding takes, for a drawing."""

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from machines.saga import Saga
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


def route_of(definition: Saga, finding: Finding) -> list[Taken]:
    """Return the moves between the states that the path has stored, by the shortest way through the table."""
    states = [definition.initial, *(world.row.state for _, world in finding.path if world.row is not None)]
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
