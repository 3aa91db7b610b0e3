"""The elements of a picture: texts, boxes, edges and shades, each with its position."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from machines.transitions import Transition

#: Kind of character → its width as a fraction of the font size. The values are large enough for the usual fonts.
_WIDTHS = {"upper": 0.70, "lower": 0.54, "digit": 0.57, "narrow": 0.31}
_MONO, _BOLD = 0.605, 1.22
_HEAVY = {"bold", "mark", "label"}

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Text:
    """One line of text.

    x, y: the point at which the text is anchored, on its base line.
    size: the font size in pixels.
    look: CSS classes. `mono`, `bold`, `mark` and `label` also change the estimated width.
    anchor: which part of the text is at x: start, middle or end.
    """

    words: str
    x: float = 0
    y: float = 0
    size: float = 11
    look: str = ""
    anchor: str = "start"

    @property
    def width(self) -> float:
        return _width(self.words, self.look) * self.size

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The left, top, right and bottom of the text in the picture."""
        left = self.x - self.width * {"start": 0, "middle": 0.5, "end": 1}[self.anchor]
        return left, self.y - 0.78 * self.size, left + self.width, self.y + 0.22 * self.size

    def at(self, x: float, y: float) -> "Text":
        return replace(self, x=x, y=y)


@dataclass(frozen=True, kw_only=True)
class Box:
    """The box of a state.

    x, y: the centre of the box.
    look: CSS classes.
    title: the text of the tooltip.
    """

    state: str
    shape: str
    lines: tuple[Text, ...]
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0
    look: str = ""
    title: str = ""

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2

    @property
    def texts(self) -> Iterator[Text]:
        """The lines with their positions, centred in the box."""
        y = self.y - sum(line_height(line) for line in self.lines) / 2
        for line in self.lines:
            y += line_height(line)
            yield line.at(self.x, y - line_height(line) * 0.3)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A line with an arrow at its end, for one transition or for several with equal source and destination.

    transitions: the tooltip lists them. title: the tooltip of an edge without transitions.
    """

    transitions: tuple[Transition, ...]
    points: tuple[Point, ...]
    labels: tuple[Text, ...]
    look: str = ""
    title: str = "start"


@dataclass(frozen=True, kw_only=True)
class Shade:
    """A rectangle in the background."""

    x: float
    y: float
    width: float
    height: float
    look: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    title: str
    description: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    texts: tuple[Text, ...]
    shades: tuple[Shade, ...]

    @property
    def every_text(self) -> list[Text]:
        inside = [text for box in self.boxes for text in box.texts]
        return [*self.texts, *inside, *(label for edge in self.edges for label in edge.labels)]


def line_height(line: Text) -> float:
    return line.size * 1.42


def wrap(words: str, width: float, size: float, lines: int = 3) -> list[str]:
    """Break words into at most `lines` lines of `width` pixels. Replace the rest by an ellipsis."""
    found: list[str] = [""]
    for word in words.split():
        longer = f"{found[-1]} {word}".strip()
        if found[-1] and Text(words=longer, size=size).width > width:
            if len(found) == lines:
                return [*found[:-1], _cut(f"{found[-1]}…", width, size)]
            longer = word
            found.append("")
        found[-1] = _cut(longer, width, size)
    return found


@lru_cache(maxsize=4096)
def _width(words: str, look: str) -> float:
    """Estimate the width of words as a fraction of the font size. Cached, because a picture has many equal texts."""
    looks = look.split()
    if "mono" in looks:
        return len(words) * _MONO
    return sum(_WIDTHS[_sort(sign)] for sign in words) * (1 if _HEAVY.isdisjoint(looks) else _BOLD)


def _cut(line: str, width: float, size: float) -> str:
    """Return the line. If it is wider than `width` pixels, cut it and add an ellipsis."""
    room, end = width / size, _width("…", "")
    used, fits = 0.0, 0
    for sign in line:
        used += _WIDTHS[_sort(sign)]
        if used > room:
            return f"{line[:fits].removesuffix('…')}…"
        fits += used + end <= room
    return line


def _sort(sign: str) -> str:
    if sign in " .,:;·'|!il()[]/":
        return "narrow"
    if sign.isdigit():
        return "digit"
    return "lower" if sign.islower() or sign in "_-?+*" else "upper"
