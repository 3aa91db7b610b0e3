"""Write a picture as SVG: plain shapes and text, without scripts and without external resources."""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from diagrams.descriptions import QUARANTINE
from diagrams.overlays.overlay import Overlay
from diagrams.picture.compose import compose
from diagrams.picture.elements import Box, Edge, Picture, Point, Shade, Text
from diagrams.picture.style import STYLE
from machines.saga import Saga
from machines.transitions import Transition

_ROUND = 9.0
_NO_XML = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def svg(saga: Saga, overlay: Overlay | None = None) -> str:
    return picture_svg(compose(saga, overlay))


def picture_svg(picture: Picture) -> str:
    """Return the picture as an SVG document."""
    size = f'viewBox="0 0 {picture.width:g} {picture.height:g}" width="{picture.width:g}" height="{picture.height:g}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(_clean(picture.title))}</title>',
        f'<desc id="d">{escape(_clean(picture.description))}</desc>',
        f"<style>{STYLE}</style>",
        '<rect class="paper" width="100%" height="100%"/>',
        *(_shade(shade) for shade in picture.shades),
        *(_edge(edge) for edge in picture.edges),
        *(_box(box) for box in picture.boxes),
        # The labels come last, so that no line is drawn over a text.
        *(_text(label) for edge in picture.edges for label in edge.labels),
        *(_text(text) for text in picture.texts),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _shade(shade: Shade) -> str:
    place = f'x="{_n(shade.x)}" y="{_n(shade.y)}" width="{_n(shade.width)}" height="{_n(shade.height)}"'
    return f'<rect class="{shade.look}" {place}/>'


def _text(text: Text) -> str:
    look = f" class={quoteattr(text.look)}" if text.look else ""
    anchor = f' text-anchor="{text.anchor}"' if text.anchor != "start" else ""
    place = f'x="{_n(text.x)}" y="{_n(text.y)}" font-size="{_n(text.size)}"'
    return f"<text{look} {place}{anchor}>{escape(_clean(text.words))}</text>"


def _box(box: Box) -> str:
    looks = f"{box.shape} {box.look}".strip()
    name = f" data-state={quoteattr(box.state)}" if box.state else ""
    inside = "".join([*_shape(box), *(_text(text) for text in box.texts)])
    return f"<g class={quoteattr(looks)}{name}><title>{escape(_clean(box.title))}</title>{inside}</g>"


def _shape(box: Box) -> Iterator[str]:
    """Yield the outline of a state. Each kind of state has its own outline, so readers do not need the colours."""
    cut = {"failure": 12.0, "stuck": 18.0, QUARANTINE: 10.0}.get(box.shape)
    if box.shape == "start":
        yield f'<circle class="box" cx="{_n(box.x)}" cy="{_n(box.y)}" r="{_n(box.width / 2)}"/>'
    elif cut:
        middle = cut if box.shape == "failure" else box.height / 2
        xs, ys = (box.left, box.left + cut, box.right - cut, box.right), (box.top + middle, box.bottom - middle)
        corners = [(xs[0], ys[0]), (xs[1], box.top), (xs[2], box.top), (xs[3], ys[0]), (xs[3], ys[1]),
                   (xs[2], box.bottom), (xs[1], box.bottom), (xs[0], ys[1])]  # fmt: skip
        yield f'<polygon class="box" points="{" ".join(f"{_n(x)},{_n(y)}" for x, y in corners)}"/>'
    else:
        ends = box.shape in ("completed", "compensated")
        corner = box.height / 2 if ends else {"undoing": 2.0}.get(box.shape, 10.0)
        yield _rectangle(box, 0, corner, "box")
        if ends:
            yield _rectangle(box, 4, corner - 4, "box inner")


def _rectangle(box: Box, inset: float, corner: float, look: str) -> str:
    place = f'x="{_n(box.left + inset)}" y="{_n(box.top + inset)}"'
    size = f'width="{_n(box.width - 2 * inset)}" height="{_n(box.height - 2 * inset)}"'
    return f'<rect class="{look}" {place} {size} rx="{_n(corner)}"/>'


def _edge(edge: Edge) -> str:
    transitions = "\n".join(_described(transition) for transition in edge.transitions) or edge.title
    points = [point for point, after in zip(edge.points, edge.points[1:], strict=False) if point != after]
    points.append(edge.points[-1])
    tip = _tip(points, 6 if QUARANTINE in edge.look.split() else 10)
    shape = f'<path class="line" d="{_path(points)}"/><polygon class="tip" points="{tip}"/>'
    return f"<g class={quoteattr(f'edge {edge.look}'.strip())}><title>{escape(_clean(transitions))}</title>{shape}</g>"


def _described(transition: Transition) -> str:
    why = f" ({transition.call or transition.when})" if transition.call or transition.when else ""
    return f"{transition.source} —{transition.trigger}→ {transition.dest}{why}"


def _path(points: list[Point]) -> str:
    """Return the path of an edge, with round corners. The path ends where the arrow begins."""
    *through, last = points
    before = through[-1]
    through.append(_towards(last, before, 8))
    parts = [f"M{_n(through[0][0])} {_n(through[0][1])}"]
    for before, corner, after in zip(through, through[1:], through[2:], strict=False):
        (ax, ay), (bx, by) = _towards(corner, before, _ROUND), _towards(corner, after, _ROUND)
        parts.append(f"L{_n(ax)} {_n(ay)}Q{_n(corner[0])} {_n(corner[1])} {_n(bx)} {_n(by)}")
    return "".join([*parts, f"L{_n(through[-1][0])} {_n(through[-1][1])}"])


def _towards(point: Point, other: Point, length: float) -> Point:
    """Return the point at distance `length` from `point` towards `other`, but not beyond the middle between them.

    The line between the points must be horizontal or vertical.
    """
    dx, dy = other[0] - point[0], other[1] - point[1]
    far = min(length, (abs(dx) + abs(dy)) / 2)
    return point[0] + far * ((dx > 0) - (dx < 0)), point[1] + far * ((dy > 0) - (dy < 0))


def _tip(points: list[Point], size: float) -> str:
    (x, y), before = points[-1], points[-2]
    ux, uy = ((before[0] > x) - (before[0] < x)), ((before[1] > y) - (before[1] < y))
    (ax, ay), half = (x + size * ux, y + size * uy), size / 2
    corners = [(x, y), (ax - half * uy, ay - half * ux), (ax + half * uy, ay + half * ux)]
    return " ".join(f"{_n(a)},{_n(b)}" for a, b in corners)


def _clean(words: str) -> str:
    """Remove the characters that XML does not allow in any form."""
    return _NO_XML.sub("", words)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
