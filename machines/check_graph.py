"""The check of a table's graph: every state can be reached, and every state has a way to an end."""

from collections.abc import Iterator, Mapping

from machines.check_types import mend
from machines.transitions import Graph


def path_problems(graph: Graph, initial: str, ends: tuple[str, ...], unused: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a problem for each state that is misspelled, cannot be reached, or cannot reach an end.

    unused: states that need not be reached.
    """
    astray = [transition for transition in graph.transitions if transition.dest not in graph.states]
    for transition in astray:
        yield (
            f"{transition.trigger} leads from {transition.source} to {transition.dest!r}, which is no state; "
            f"{mend(transition.dest, graph.states, 'make it the done= of the last step and completed= the same')}"
        )
    if astray:
        return
    onward: dict[str, set[str]] = {state: set() for state in graph.states}
    backward: dict[str, set[str]] = {state: set() for state in graph.states}
    for transition in graph.transitions:
        onward[transition.source].add(transition.dest)
        backward[transition.dest].add(transition.source)
    for state in graph.states:
        if state not in unused and state not in closure(onward, (initial,)):
            yield f"state {state!r} cannot be reached; take it out, or lead a step to it"
        if state not in closure(backward, ends):
            yield f"state {state!r} has no way to an end; lead its step on to {' or '.join(ends)}"


def closure(edges: Mapping[str, set[str]], starts: tuple[str, ...]) -> set[str]:
    """Return the starts, and every state that can be reached from them."""
    seen, ahead = set(starts), list(starts)
    while ahead:
        found = edges[ahead.pop()] - seen
        seen |= found
        ahead += found
    return seen
