"""Compose the whole picture of a saga: title, states, edges, texts and legend."""

from dataclasses import replace

from diagrams.descriptions import deadline_note, named
from diagrams.overlays.overlay import Overlay
from diagrams.picture.captions import legend, shades, texts, ties
from diagrams.picture.edges import edges
from diagrams.picture.elements import Box, Edge, Picture, Text
from diagrams.picture.layout import MARGIN, Layout, layout
from diagrams.picture.step_notes import no_answer_note, refusal_note
from diagrams.step_bands import step_bands
from machines.saga import Saga

HOW_TO_READ = (
    "Start at the dot and read down. A call that fails turns right, and compensations climb back to {saga.compensated}."
)


def compose(saga: Saga, overlay: Overlay | None = None) -> Picture:
    headline = (HOW_TO_READ.format(saga=saga), deadline_note(saga))
    found = layout(saga, overlay or Overlay(title=named(saga.title, str(saga)), headline=headline))
    start, start_edge = _start(found)
    top = max(box.bottom for box in found.boxes.values()) + 46
    footer = [
        Text(words=words, x=MARGIN, y=top + 18 * number, size=12, look="mark")
        for number, words in enumerate(found.overlay.footer)
    ]
    top += 18 * len(footer) + (18 if footer else 0)
    boxes, words, height = legend(found, top)
    groups = tuple(found.groups.values())
    every = (*found.boxes.values(), start, *boxes, *(box for block in groups for box in block.boxes))
    all_texts = (*texts(found), *footer, *words, *(text for block in groups for text in block.texts))
    right = max(*(box.right for box in every), *(text.extent[2] for text in all_texts))
    return Picture(
        title=found.overlay.title,
        description=_description(saga),
        width=round(right + MARGIN),
        height=round(top + height),
        boxes=every,
        edges=(start_edge, *edges(found), *(edge for block in groups for edge in block.edges)),
        texts=all_texts,
        shades=(
            *(replace(shade, width=right - MARGIN + 16) for shade in shades(found)),
            *ties(found),
            *(shade for block in groups for shade in block.shades),
        ),
    )


def _start(found: Layout) -> tuple[Box, Edge]:
    first = found.boxes[found.saga.initial]
    dot = Box(state="", shape="start", lines=(), x=first.x, y=found.start_y, width=16, height=16, title="start")
    return dot, Edge(transitions=(), points=((dot.x, dot.bottom), (first.x, first.top)), labels=(), look="forward")


def _description(saga: Saga) -> str:
    """Return the description of the picture for screen readers."""
    lines = [f"{saga} has {len(saga.steps)} steps; it ends in {saga.completed} or {saga.compensated}."]
    lines.append(deadline_note(saga))
    for band in step_bands(saga):
        parts = (
            f"{band.number}. {band.step.name}, {band.step.kind}: {band.step.action}",
            refusal_note(saga, band),
            no_answer_note(band),
        )
        lines.append(". ".join(filter(None, parts)))
    return "\n".join(lines)
