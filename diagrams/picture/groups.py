"""The branches of a group, drawn beside the state in which the saga waits for them.

A group is a frame with one lane for each branch. A lane runs from a bar at its top to a bar at its bottom, as in a UML
activity diagram. Each step is one box; the diagram of the branch itself shows its failures and compensations.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from diagrams.descriptions import called, group_words
from diagrams.overlays.overlay import BranchMark, Overlay
from diagrams.picture.block import Block, arrow, joined
from diagrams.picture.elements import Box, Edge, Shade, Text, line_height, wrap
from machines.branches import branch_name
from machines.children import Branch
from machines.step import Step

_PAD, _GAP, _BAR, _BESIDE = 14.0, 28.0, 4.0, 18.0
#: Width of the space at the left of a lane in which the edges around skipped steps run, in pixels.
_AROUND = 30.0
#: Distance of the edges that leave and enter a box at its left from the middle of the box, in pixels.
_LANE = 8.0
_NOTHING = BranchMark()


def group_block(parent: str, step: Step, overlay: Overlay) -> Block:
    """Return the frame of a group. parent: the name of the table that has the step."""
    group = step.group
    assert group is not None
    mark, many = overlay.branches.get((parent, step.name), _NOTHING), group.over is not None
    lanes = [_lane(branch_name(parent, step, each), each, overlay, named=not many) for each in group.branches]
    inner = sum(lane.width for lane in lanes) + _BESIDE * (len(lanes) - 1)
    heads = [Text(words=step.name, size=12, look="bold"), Text(words=group_words(group), look="quiet")]
    heads += [Text(words=words, look="mark") for words in mark.lines]
    width = max(inner, *(head.width for head in heads)) + 2 * _PAD
    top, texts = _below(heads, _PAD, _PAD / 2)
    x, placed, height = (width - inner) / 2, [], max(lane.height for lane in lanes)
    for lane in lanes:
        placed.append(lane.drawn(height).at(x, top + 8))
        x += lane.width + _BESIDE
    height += top + 8 + _PAD
    offsets = (8.0, 4.0, 0.0) if many else (0.0,)  # the frames behind the first one stand for the other items
    frames = [Shade(x=far, y=far, width=width, height=height, look="group") for far in offsets]
    return joined(width + offsets[0], height + offsets[0], placed, texts=texts, shades=frames)


@dataclass(frozen=True, kw_only=True)
class _Item:
    """A step of a branch, or the question whether the next step is done."""

    block: Block
    asks: bool = False


@dataclass(frozen=True, kw_only=True)
class _Lane:
    heads: tuple[Text, ...]
    items: tuple[_Item, ...]
    name: str

    @property
    def _around(self) -> float:
        return _AROUND if any(item.asks for item in self.items) else 0.0

    @property
    def width(self) -> float:
        return self._around + max(*(item.block.width for item in self.items), *(head.width for head in self.heads), 0.0)

    @property
    def height(self) -> float:
        """The height from the heads to the lower bar, in pixels."""
        heads = sum(line_height(head) for head in self.heads)
        return heads + 2 * (_BAR + 4) + sum(item.block.height + _GAP for item in self.items) + _GAP

    def drawn(self, height: float) -> Block:
        """Return the lane with its lower bar at this height."""
        top, texts = _below(list(self.heads), 0, 0)
        bars = [Shade(x=0, y=y, width=self.width, height=_BAR, look="bar") for y in (top + 4, height - _BAR)]
        middle, y, placed = (self.width + self._around) / 2, top + 4 + _BAR, []
        for item in self.items:
            y += _GAP
            placed.append((item.block.at(middle - item.block.width / 2, y), middle - item.block.width / 2, y))
            y += item.block.height
        edges = list(self._edges(middle, top + 4 + _BAR, height - _BAR, [(left, top) for _, left, top in placed]))
        return joined(self.width, height, [block for block, _, _ in placed], edges=edges, texts=texts, shades=bars)

    def _edges(self, middle: float, start: float, end: float, places: list[tuple[float, float]]) -> Iterator[Edge]:
        tops = [top for _, top in places]
        bottoms = [top + item.block.height for item, top in zip(self.items, tops, strict=True)]
        for above, below in zip([start, *bottoms], [*tops, end], strict=True):
            yield arrow((middle, above), (middle, below), title=f"{self.name}: forward")
        for number, item in enumerate(self.items):
            if item.asks:
                yield self._around_step(number, places, end)

    def _around_step(self, number: int, places: list[tuple[float, float]], end: float) -> Edge:
        """Return the edge from a question around its step, to what follows the step."""
        (left, top), out = places[number], 8.0
        middle = top + self.items[number].block.height / 2 + _LANE
        label = Text(words="skip", look="label", x=out + 5, y=top + self.items[number].block.height + 17)
        points = [(left, middle), (out, middle)]
        if number + 2 < len(self.items):
            into_left, into_top = places[number + 2]
            into = into_top + self.items[number + 2].block.height / 2 - _LANE
            points += [(out, into), (into_left, into)]
        else:
            points.append((out, end))
        return arrow(*points, title=f"{self.name}: skip", label=label)


def _lane(table: str, branch: Branch, overlay: Overlay, *, named: bool) -> _Lane:
    mark = overlay.branches.get((table, ""), _NOTHING)
    heads = [Text(words=branch.name, size=11, look="bold")] if named else []
    heads += [Text(words=words, look="mark") for words in mark.lines]
    items: list[_Item] = []
    for step in branch.steps:
        if step.when is not None:
            asks = [
                Text(words=words, size=10, look="quiet", anchor="middle") for words in wrap(f"◇ {step.when}?", 150, 10)
            ]
            items.append(_Item(block=_box("passing", asks, str(step.when)), asks=True))
        block = group_block(table, step, overlay) if step.group else _step_box(table, step, overlay)
        items.append(_Item(block=block))
    return _Lane(heads=tuple(heads), items=tuple(items), name=branch.name)


def _step_box(table: str, step: Step, overlay: Overlay) -> Block:
    mark = overlay.branches.get((table, step.name), _NOTHING)
    mono = step.call is not None
    lines = [Text(words=step.title or step.name, size=12, look="bold", anchor="middle")]
    lines += [Text(words=step.name, size=9.5, look="quiet", anchor="middle")] if step.title else []
    lines += [Text(words=words, size=10, look="mono" if mono else "quiet", anchor="middle") for words in called(step)]
    lines += [Text(words=words, look="mark", anchor="middle") for words in mark.lines]
    undo = [f"undo: {step.undo}"] if step.undo else []
    title = "\n".join([f"{step.name}: {step.action}", *undo])
    return _box("forward" if mono and not step.starts else "waiting", lines, title, mark.look)


def _box(shape: str, lines: list[Text], title: str, look: str = "") -> Block:
    width = max(line.width for line in lines) + 28
    height = sum(line_height(line) for line in lines) + 14
    box = Box(
        state="",
        shape=shape,
        lines=tuple(lines),
        x=width / 2,
        y=height / 2,
        width=width,
        height=height,
        look=look,
        title=title,
    )
    return Block(width=width, height=height, boxes=(box,))


def _below(lines: list[Text], x: float, y: float) -> tuple[float, list[Text]]:
    """Return the lines below each other, and the y below the last one."""
    placed = []
    for line in lines:
        y += line_height(line)
        placed.append(line.at(x, y - 3))
    return y, placed
