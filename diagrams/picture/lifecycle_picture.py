"""Draw a lifecycle as SVG: the statuses below each other, downward changes at the right, upward changes at the left.

A change is a line from one box to another. It has its own vertical lane and its own port (point) at each box, and its
label is between the box and the first lane, so nothing overlaps.
"""

from dataclasses import dataclass, replace

from diagrams.lifecycle import Change, Lifecycle
from diagrams.picture.elements import Box, Edge, Picture, Text, line_height, wrap
from diagrams.picture.layout import HEADLINE_Y, MARGIN
from diagrams.picture.svg import picture_svg
from diagrams.text.lifecycle_text import LAST

_LOOKS = {"completed": "forward", "failed": "fail", "compensated": "back"}
_WIDTH, _LEAST_HEIGHT, _GAP = 190.0, 64.0, 34.0
#: Largest width of a line of a label, in pixels; about three moves fit.
_LABEL = 190.0
#: Factor for the width of labels, because they are bold, and some fonts are wider than `Text` estimates.
_WIDER = 1.25
_LANE, _PORT = 22.0, 18.0


@dataclass(frozen=True, kw_only=True)
class _Side:
    """The changes on one side of the boxes.

    away: 1 for the right side with the changes that lead down, -1 for the left side with those that lead up.
    lanes: change → number of its lane.
    ports: (status, change) → distance of the change's port from the top of the status's box, in pixels.
    labels: change → the lines of its label.
    """

    away: int
    lanes: dict[Change, int]
    ports: dict[tuple[str, Change], float]
    labels: dict[Change, list[str]]

    @property
    def room(self) -> float:
        """The width of the labels and lanes together, in pixels."""
        widths = [Text(words=line, look="label").width for lines in self.labels.values() for line in lines]
        return _WIDER * max(widths, default=0) + 30 + _LANE * len(self.lanes)


def lifecycle_svg(life: Lifecycle) -> str:
    return picture_svg(lifecycle_picture(life))


def lifecycle_picture(life: Lifecycle) -> Picture:
    place = {status: number for number, status in enumerate(life.statuses)}
    down, up = _side(life, place, 1), _side(life, place, -1)
    x = MARGIN + up.room + _WIDTH / 2
    boxes = _boxes(life, x, (down, up))
    edges = [_edge(change, side, boxes) for side in (down, up) for change in side.lanes]
    first = boxes[life.initial]
    dot = Box(state="", shape="start", lines=(), x=x, y=first.top - 34, width=16, height=16, title="start")
    start_edge = Edge(transitions=(), points=((x, dot.bottom), (x, first.top)), labels=(), look="forward")
    texts = (
        Text(words=life.title, x=MARGIN, y=HEADLINE_Y, size=20, look="bold"),
        Text(words=life.description, x=MARGIN, y=HEADLINE_Y + 24, size=13, look="mark"),
    )
    bottom = max(box.bottom for box in boxes.values())
    return Picture(
        title=life.title,
        description="\n".join(
            [life.description, *(_sentence(change, moves) for change, moves in life.changes.items())]
        ),
        width=round(max(first.right + down.room, *(text.extent[2] for text in texts)) + MARGIN),
        height=round(bottom + MARGIN),
        boxes=(*boxes.values(), dot),
        edges=(start_edge, *edges),
        texts=texts,
        shades=(),
    )


def _side(life: Lifecycle, place: dict[str, int], away: int) -> _Side:
    def span(change: Change) -> int:
        return (place[change[1]] - place[change[0]]) * away

    changes = sorted((change for change in life.changes if span(change) > 0), key=lambda change: (span(change), change))
    labels = {change: wrap(", ".join(life.changes[change]), _LABEL, 11, lines=4) for change in changes}
    ports: dict[tuple[str, Change], float] = {}
    for status in life.statuses:
        # This order of the ports keeps the lines of one box from crossing each other.
        entering = [change for change in changes if change[1] == status][::away]
        leaving = [change for change in changes if change[0] == status][::-away]
        y = 0.0
        for change in [*entering, *leaving] if away > 0 else [*leaving, *entering]:
            y += _PORT + (13 * len(labels[change]) if change[0] == status else 0)
            ports[status, change] = y
    return _Side(away=away, lanes={change: n for n, change in enumerate(changes)}, ports=ports, labels=labels)


def _boxes(life: Lifecycle, x: float, sides: tuple[_Side, _Side]) -> dict[str, Box]:
    boxes: dict[str, Box] = {}
    top = HEADLINE_Y + 90.0
    for status, shape in life.shapes.items():
        lines = [Text(words=status, size=14, look="bold", anchor="middle")]
        if status in life.ends:
            lines.append(Text(words=LAST, size=11, look="quiet", anchor="middle"))
        ports = [y for side in sides for (name, _), y in side.ports.items() if name == status]
        height = max(_LEAST_HEIGHT, *(y + _PORT for y in ports))
        title = f"{status}: {LAST}" if status in life.ends else status
        boxes[status] = Box(
            state=status, shape=shape, lines=tuple(lines), x=x, y=top + height / 2,
            width=_WIDTH, height=height, title=title,
        )  # fmt: skip
        top += height + _GAP
    return boxes


def _edge(change: Change, side: _Side, boxes: dict[str, Box]) -> Edge:
    source, dest = (boxes[status] for status in change)
    start, end = source.top + side.ports[source.state, change], dest.top + side.ports[dest.state, change]
    edge = source.x + side.away * _WIDTH / 2
    lane = edge + side.away * (side.room - _LANE * (len(side.lanes) - side.lanes[change]) + _LANE / 2)
    texts = [Text(words=line, look="label", anchor="start" if side.away > 0 else "end") for line in side.labels[change]]
    y = start - 5 - line_height(texts[0]) * (len(texts) - 1) * 0.8
    labels = [replace(text, x=edge + side.away * 10, y=y + n * line_height(text) * 0.8) for n, text in enumerate(texts)]
    return Edge(
        transitions=(),
        points=((edge, start), (lane, start), (lane, end), (edge, end)),
        labels=tuple(labels),
        look=_LOOKS.get(change[1], "person" if side.away < 0 else "forward"),
        title=f"{change[0]} → {change[1]}",
    )


def _sentence(change: Change, moves: tuple[str, ...]) -> str:
    return f"From {change[0]} to {change[1]}: {', '.join(moves)}."
