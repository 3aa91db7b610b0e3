"""A whole picture of a table, ready to be written down."""

from dataclasses import replace

from diagrams.descriptions import deadline_note
from diagrams.overlays.overlay import Marks
from diagrams.picture.captions import legend, shades, texts
from diagrams.picture.edges import routes
from diagrams.picture.elements import Box, Edge, Picture, Text
from diagrams.picture.layout import MARGIN, Plan, plan
from diagrams.picture.step_notes import if_refused, if_unknown
from diagrams.step_bands import bands
from machines.saga import Saga

HOW_TO_READ = (
    "Start at the dot and read down. A call that fails turns right, and compensations climb back to {saga.compensated}."
)


def compose(saga: Saga, marks: Marks | None = None) -> Picture:
    found = plan(saga, marks or Marks(title=str(saga), headline=(HOW_TO_READ.format(saga=saga), deadline_note(saga))))
    start, begins = _start(found)
    top = max(box.bottom for box in found.boxes.values()) + 46
    footer = [
        Text(words=words, x=MARGIN, y=top + 18 * number, size=12, look="mark")
        for number, words in enumerate(found.marks.footer)
    ]
    top += 18 * len(footer) + (18 if footer else 0)
    boxes, words, height = legend(found, top)
    every = (*found.boxes.values(), start, *boxes)
    written = (*texts(found), *footer, *words)
    right = max(*(box.right for box in every), *(text.extent[2] for text in written))
    return Picture(
        title=found.marks.title,
        says=_says(saga),
        width=round(right + MARGIN),
        height=round(top + height),
        boxes=every,
        edges=(begins, *routes(found)),
        texts=written,
        shades=tuple(replace(shade, width=right - MARGIN + 16) for shade in shades(found)),
    )


def _start(found: Plan) -> tuple[Box, Edge]:
    first = found.boxes[found.saga.initial]
    dot = Box(state="", shape="start", lines=(), x=first.x, y=found.start_y, width=16, height=16, says="start")
    return dot, Edge(rows=(), points=((dot.x, dot.bottom), (first.x, first.top)), labels=(), look="forward")


def _says(saga: Saga) -> str:
    """Tell the picture to somebody who cannot see it."""
    told = [f"{saga} has {len(saga.steps)} steps; it ends in {saga.completed} or {saga.compensated}."]
    told.append(deadline_note(saga))
    for band in bands(saga):
        said = (
            f"{band.number}. {band.step.name}, {band.step.kind}: {band.step.call}",
            if_refused(saga, band),
            if_unknown(band),
        )
        told.append(". ".join(filter(None, said)))
    return "\n".join(told)
