"""The edges of a picture. Each sort of row has its own way, so that no two of them run over each other."""

from collections.abc import Iterator

from diagrams.picture import Box, Edge, Point, Text
from diagrams.plan import LANE, Plan, label
from diagrams.words import way_of
from machines.rows import Row, Trigger


def routes(plan: Plan) -> Iterator[Edge]:
    """Draw every row but those that stay where they are, which a box tells in its own words."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in plan.saga.rows.rows:
        if row.source != row.dest:
            # What leads from a call to the same failure is one line; a line of compensation stands for itself.
            apart = row.trigger if row.trigger in (Trigger.COMPENSATE, Trigger.COMPENSATE_INCLUDING) else ""
            groups.setdefault((row.source, row.dest, apart), []).append(row)
    for rows in groups.values():
        yield _edge(plan, rows)


def _edge(plan: Plan, rows: list[Row]) -> Edge:
    first = rows[0]
    source, dest = plan.boxes[first.source], plan.boxes[first.dest]
    points, places = _way(plan, first, source, dest)
    labels = [label(row, plan.marks) for row in rows]
    return Edge(
        rows=tuple(rows),
        points=tuple(points),
        labels=tuple(text.at(*place) for text, place in zip(labels, _spread(places, len(labels)), strict=True)),
        look=f"{way_of(plan.saga.rows, first)} {_strongest(labels)}".strip(),
    )


def _strongest(labels: list[Text]) -> str:
    """Let a line that stands for several rows be as strong as the strongest of them."""
    looks = {text.look.removeprefix("label").strip() for text in labels}
    return max(looks, key=lambda look: (look not in ("dim", "ahead"), look != "dim", look))


def _way(plan: Plan, row: Row, source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    """Find the points of an edge, and the places of its labels."""
    if row.trigger is Trigger.COMPENSATE:
        return _back(source, dest)
    if row.trigger is Trigger.COMPENSATE_INCLUDING:
        y = source.y + LANE
        return [(source.right, y), (dest.left, y)], [(source.right + 8, y + 14)]
    if row.trigger is Trigger.RESOLVE:
        return _resolved_down(source, dest) if dest.y > source.y else _resolved_up(source, dest)
    ways = {"person": _again, "back": _up, "forward": _down, "lost": _aside, "fail": _failed}
    return ways[way_of(plan.saga.rows, row)](source, dest)


def _down(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    return [(source.x, source.bottom), (source.x, dest.top)], [(source.x + 9, source.bottom + 20)]


def _up(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    return [(source.x, source.top), (source.x, dest.bottom)], [(source.x + 8, source.top - 12)]


def _failed(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    x = source.right + 10
    return [(source.right, dest.y), (dest.left, dest.y)], [(x, dest.y - 6), (x, dest.y + 14), (x, dest.y + 28)]


def _aside(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    y = dest.y - LANE
    if dest.y == source.y:
        return [(source.right, y), (dest.left, y)], [(source.right + 10, y - 5)]
    x = source.right + 36
    return [(source.right, source.bottom - 16), (x, source.bottom - 16), (x, y), (dest.left, y)], [(x + 7, y - 5)]


def _again(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    y = source.y + LANE
    if dest.y == source.y:
        return [(source.left, y), (dest.right, y)], [(dest.right + 36, y + 14)]
    x = dest.right + 18
    return [(source.left, y), (x, y), (x, dest.bottom - 7), (dest.right, dest.bottom - 7)], [(x + 25, y + 14)]


def _back(source: Box, dest: Box) -> tuple[list[Point], list[Point]]:
    """Go right, up beside the column of compensations, and in from its left."""
    person = source.shape == "stuck"
    channel, into = dest.left - (17 if person else 26), dest.bottom - (4 if person else 14)
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


def _spread(places: list[Point], count: int) -> list[Point]:
    """Give each label a place; below the last one there is always room for another."""
    last_x, last_y = places[-1]
    return [*places, *((last_x, last_y + 14 * more) for more in range(1, count + 1))][:count]
