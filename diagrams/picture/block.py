"""A block: elements of a picture that are placed together. Their positions count from the corner of the block."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from diagrams.picture.elements import Box, Edge, Point, Shade, Text


@dataclass(frozen=True, kw_only=True)
class Block:
    """Elements with the width and the height that they need."""

    width: float
    height: float
    boxes: tuple[Box, ...] = ()
    edges: tuple[Edge, ...] = ()
    texts: tuple[Text, ...] = ()
    shades: tuple[Shade, ...] = ()

    def at(self, x: float, y: float) -> "Block":
        """Return the block with its corner at x, y of the block or the picture around it."""
        return replace(
            self,
            boxes=tuple(replace(box, x=box.x + x, y=box.y + y) for box in self.boxes),
            edges=tuple(
                replace(
                    edge,
                    points=tuple((left + x, top + y) for left, top in edge.points),
                    labels=tuple(text.at(text.x + x, text.y + y) for text in edge.labels),
                )
                for edge in self.edges
            ),
            texts=tuple(text.at(text.x + x, text.y + y) for text in self.texts),
            shades=tuple(replace(shade, x=shade.x + x, y=shade.y + y) for shade in self.shades),
        )


def joined(
    width: float,
    height: float,
    inside: Iterable[Block],
    *,
    edges: Iterable[Edge] = (),
    texts: Iterable[Text] = (),
    shades: Iterable[Shade] = (),
) -> Block:
    """Return one block of placed blocks and further elements. The shades of the blocks lie on the new shades."""
    parts = tuple(inside)
    return Block(
        width=width,
        height=height,
        boxes=tuple(box for part in parts for box in part.boxes),
        edges=(*edges, *(edge for part in parts for edge in part.edges)),
        texts=(*texts, *(text for part in parts for text in part.texts)),
        shades=(*shades, *(shade for part in parts for shade in part.shades)),
    )


def arrow(*points: Point, title: str, label: Text | None = None) -> Edge:
    """Return an edge within a block. It stands for no transition of the saga that is drawn."""
    return Edge(transitions=(), points=points, labels=(label,) if label else (), look="branch", title=title)
