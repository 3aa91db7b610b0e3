"""Finds a cycle in a graph."""

from collections.abc import Sequence


def cycle(edges: Sequence[Sequence[int]]) -> list[int] | None:
    """Return the nodes of a cycle, in their order; None when there is none. edges: node → the nodes after it."""
    unseen, open_, closed = 0, 1, 2
    state = [unseen] * len(edges)
    for root in range(len(edges)):
        if state[root] != unseen or not edges[root]:
            continue
        path, rest = [root], [iter(edges[root])]
        state[root] = open_
        while path:
            for other in rest[-1]:
                if state[other] == open_:
                    return path[path.index(other) :]
                if state[other] == unseen:
                    state[other] = open_
                    path.append(other)
                    rest.append(iter(edges[other]))
                    break
            else:
                state[path.pop()] = closed
                rest.pop()
    return None
