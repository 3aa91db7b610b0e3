"""The edges of a picture. Each kind of transition has its own route between the boxes, so that no two edges overlap."""

from collections.abc import Iterator

from diagrams.descriptions import QUARANTINE, edge_kind
from diagrams.picture.elements import Box, Edge, Point, Text
from diagrams.picture.layout import BESIDE, LANE, Layout, label
from machines.transitions import Phase, Transition, Trigger

#: The shapes of states that wait for an operator.
_STUCK = (str(Phase.STUCK), QUARANTINE)


def edges(layout: Layout) -> Iterator[Edge]:
    """Yield the edges. A transition that stays in its state has no edge; the tooltip of the state's box lists it."""
    groups: dict[tuple[str, str, str], list[Transition]] = {}
    for transition in layout.saga.transitions:
        if transition.source != transition.dest:
            # Transitions with equal source and destination share an edge. Each compensation has an edge of its own.
            apart = (
                transition.trigger if transition.trigger in (Trigger.COMPENSATE, Trigger.COMPENSATE_INCLUDING) else ""
            )
            groups.setdefault((transition.source, transition.dest, apart), []).append(transition)
    for transitions in groups.values():
        yield _edge(layout, transitions)


def _edge(layout: Layout, transitions: list[Transition]) -> Edge:
    # The rarest trigger is the last label.
    transitions = sorted(transitions, key=lambda transition: transition.trigger is Trigger.QUARANTINE)
    source, dest = layout.boxes[transitions[0].source], layout.boxes[transitions[0].dest]
    points, places = _way_of_band(layout, transitions[0], source, dest)
    labels = [label(layout.saga, transition, layout.overlay) for transition in transitions]
    for before in labels[len(places) - 1 : -1]:  # labels without a place are added to the line of the last place
        places.append((places[-1][0] + before.width + BESIDE, places[-1][1]))
    return Edge(
        transitions=tuple(transitions),
        points=tuple(points),
        labels=tuple(text.at(*place) for text, place in zip(labels, places, strict=False) if text.words),
        look=f"{_look(layout, transitions[0])} {_strongest(labels)}".strip(),
    )


def _look(layout: Layout, transition: Transition) -> str:
    """Return the style of an edge. Edges of a quarantine state that is drawn as a stuck state look like stuck edges."""
    shapes = [layout.boxes[state].shape for state in (transition.source, transition.dest)]
    way = edge_kind(layout.saga, transition)
    if way != QUARANTINE or QUARANTINE in shapes:
        return way
    return "person" if shapes[0] in _STUCK else "lost"


def _strongest(labels: list[Text]) -> str:
    """Return the most prominent style among the labels of an edge."""
    looks = {text.look.removeprefix("label").strip() for text in labels}
    return max(looks, key=lambda look: (look not in ("dim", "ahead"), look != "dim", look))


def _way_of_band(layout: Layout, transition: Transition, source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    """Return the route of an edge.

    Some edges go around the box of a state that waits for an answer, below the box of the action.
    """
    if source.shape == str(Phase.PASSING) and transition.trigger in (Trigger.SKIP, Trigger.REFUSED):
        return _around(source, dest) if transition.trigger is Trigger.SKIP else _over(source, dest)
    beside = next(
        (band for band in layout.bands if band.awaiting and source.state in (band.active, band.awaiting)), None
    )
    if beside is None:
        return _way(transition, source, dest)
    if source.state == beside.awaiting:
        return _way(transition, source, dest) if transition.trigger is Trigger.SUCCEEDED else _above(source, dest)
    match transition.trigger:
        case Trigger.ACCEPTED:
            return _down(source, dest)
        case Trigger.SUCCEEDED:
            return _around(source, dest)
        case _:
            return _way(transition, source, dest)


def _around(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    """Return a route at the left of the box between two boxes."""
    x, out, into = min(source.left, dest.left) - 12, source.y + LANE, dest.y - LANE
    return [(source.left, out), (x, out), (x, into), (dest.left, into)], [(x + 6, source.bottom + 20)]


def _over(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    """Return a route to the right, and down to a box that is lower."""
    return [(source.right, source.y), (dest.x, source.y), (dest.x, dest.top)], [(source.right + 10, source.y - 6)]


def _above(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    """Return a route to the right, and up to a box that is higher."""
    stuck = dest.shape in _STUCK
    x, y = (dest.x if stuck else dest.left - 14), source.y + (LANE if stuck else -LANE)
    end = [(x, dest.bottom)] if stuck else [(x, dest.y + LANE), (dest.left, dest.y + LANE)]
    places = [(source.right + 10, y + 14 + 14 * line if stuck else y - 5 - 14 * line) for line in range(4)]
    return [(source.right, y), (x, y), *end], places


def _way(transition: Transition, source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    """Return the points of an edge, from its start to its arrow, and the positions of its labels."""
    down = dest.y > source.y
    match transition.trigger:
        case Trigger.SUCCEEDED | Trigger.BEGIN:
            return _down(source, dest) if down else _up(source, dest)
        case Trigger.COMPENSATE_INCLUDING if source.shape not in _STUCK:
            y = source.y + LANE
            return [(source.right, y), (dest.left, y)], [(source.right + 8, y + 14)]
        case Trigger.COMPENSATE | Trigger.COMPENSATE_INCLUDING:
            return _back(source, dest)
        case Trigger.RESOLVE:
            return _resolved_down(source, dest) if down else _resolved_up(source, dest)
        case Trigger.RETRY:
            return _again(source, dest)
        case _:
            return _aside(source, dest) if dest.shape in _STUCK else _failed(source, dest)


def _down(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    return [(source.x, source.bottom), (source.x, dest.top)], [(source.x + 9, source.bottom + 20)]


def _up(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    return [(source.x, source.top), (source.x, dest.bottom)], [(source.x + 8, source.top - 12)]


def _failed(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    x, y = source.right + 10, dest.y
    return [(source.right, y), (dest.left, y)], [(x, y - 6), (x, y + 14), (x, y + 28), (x, y - 20)]


def _aside(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    """Return a route to a stuck state at the right. It goes down first when that state is lower than the source."""
    x, y = source.right - 24, dest.y - _lane(dest)
    start = [(source.right, y)] if dest.y == source.y else [(x, source.bottom), (x, y)]
    return [*start, (dest.left, y)], [(source.right + 10, y - 5)]


def _again(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    x, y = dest.right - 40, source.y + _lane(source)
    if dest.y == source.y:
        return [(source.left, y), (dest.right, y)], [(dest.right + 36, y + 14)]
    return [(source.left, y), (x, y), (x, dest.bottom)], [(dest.right + 10, y + 14)]


def _lane(stuck: Box) -> float:
    return LANE / 2 if stuck.shape == QUARANTINE else LANE


def _back(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    """Return a route to the right, then up at the left of the compensations, then into the box from its left side."""
    person = source.shape in _STUCK
    channel, into = dest.left - (17 if person else 26), dest.bottom - (4 if person else 14)
    into -= 8 if dest.shape == "compensated" else 0  # higher, because the corners of this box are round
    y = source.y - LANE if source.shape == "failure" else source.y
    return [(source.right, y), (channel, y), (channel, into), (dest.left, into)], [(source.right + 8, y - 6)]


def _resolved_down(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    x, y = dest.right - 24, dest.top - 16
    way = [(source.x, source.bottom), (source.x, y), (x, y), (x, dest.top)]
    return way, [(source.x + 8, source.bottom + 16)]


def _resolved_up(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    channel, y, into = dest.right + 18, source.top - 14, dest.bottom - 12
    way = [(source.left + 34, source.top), (source.left + 34, y), (channel, y), (channel, into), (dest.right, into)]
    return way, [(source.left + 42, source.top - 6)]
