"""The texts around the states: title, column heads, notes about steps, the line at the pivot, and the legend."""

from collections.abc import Iterator

from diagrams.descriptions import POINT_OF_NO_RETURN, triggers_of
from diagrams.picture.elements import Box, Shade, Text, line_height
from diagrams.picture.layout import HEADLINE_Y, MARGIN, Layout
from diagrams.picture.step_notes import step_notes
from diagrams.step_bands import Band

_LEGEND = (
    ("forward", "a call is in flight"),
    ("passing", "waits to be sent"),
    ("waiting", "waits for a signal, an answer or a time"),
    ("failure", "failed: turns back"),
    ("undoing", "undoes a step"),
    ("stuck", "stuck: a person decides"),
    ("quarantine", "in quarantine: a person decides"),
    ("completed", "end: all is done"),
    ("compensated", "end: all is undone"),
)


def shades(layout: Layout) -> Iterator[Shade]:
    width = layout.width - 2 * MARGIN + 16
    for band, top, bottom in zip(layout.bands, layout.lines, layout.lines[1:], strict=False):
        if band.number % 2:
            yield Shade(x=MARGIN - 8, y=top, width=width, height=bottom - top, look="band")
    for band, bottom in zip(layout.bands, layout.lines[1:], strict=False):
        if band.pivot:
            yield Shade(x=MARGIN - 8, y=bottom - 3, width=width, height=2, look="pivot")
            yield Shade(x=MARGIN - 8, y=bottom + 1, width=width, height=2, look="pivot")


def ties(layout: Layout) -> Iterator[Shade]:
    """Yield the line between each group and the state in which the saga waits for it."""
    for band in layout.bands:
        if block := layout.groups.get(band.number):
            left, box = layout.groups_x + block.width, layout.boxes[band.active]
            yield Shade(x=left, y=box.y - 1, width=box.left - left, height=2, look="tie")


def texts(layout: Layout) -> Iterator[Text]:
    yield Text(words=layout.overlay.title, x=MARGIN, y=HEADLINE_Y, size=20, look="bold")
    for number, words in enumerate(layout.overlay.headline):
        yield Text(words=words, x=MARGIN, y=HEADLINE_Y + 24 + 20 * number, size=13, look="mark")
    yield from _heads(layout)
    for band, top, bottom in zip(layout.bands, layout.lines, layout.lines[1:], strict=False):
        yield from _notes(layout, band, top)
        if band.pivot:
            yield Text(words=POINT_OF_NO_RETURN.upper(), x=MARGIN, y=bottom - 11, look="bold")
            words, x = "below this line the saga only goes forward", layout.boxes[layout.saga.compensated].x
            yield Text(words=words, x=x, y=bottom - 11, look="bold", anchor="middle")


def _heads(layout: Layout) -> Iterator[Text]:
    y = layout.start_y - 24
    boxes, saga = layout.boxes, layout.saga
    yield Text(words="STEP", x=MARGIN, y=y, size=10.5, look="head")
    if layout.groups:
        yield Text(words="BRANCHES", x=layout.groups_x, y=y, size=10.5, look="head")
    heads: list[tuple[str, str | None]] = [
        ("FORWARD ↓", saga.completed),
        ("FAILURE OR STUCK", layout.bands[0].failure or layout.bands[0].stuck),
        ("COMPENSATION ↑", saga.compensated),
        ("STUCK IN COMPENSATION", next((b.undo_stuck for b in layout.bands if b.undo_stuck), None)),
    ]
    for words, state in heads:
        if state:
            yield Text(words=words, x=boxes[state].x, y=y, size=10.5, look="head", anchor="middle")


def _notes(layout: Layout, band: Band, top: float) -> Iterator[Text]:
    y = top + 16
    for line in step_notes(layout.saga, band, layout.notes_width):
        y += line_height(line)
        yield line.at(MARGIN, y)


def legend(layout: Layout, top: float) -> tuple[list[Box], list[Text], float]:
    """Return the legend below the picture: its boxes, its texts and its height."""
    boxes, words, x = [], [Text(words="LEGEND", x=MARGIN, y=top, size=10.5, look="head")], float(MARGIN)
    for shape, meaning in _LEGEND:
        line = Text(words=meaning, size=11, anchor="middle")
        width = line.width + (46 if shape in ("stuck", "quarantine") else 32)
        boxes.append(
            Box(
                state="", shape=shape, lines=(line,), x=x + width / 2, y=top + 30, width=width, height=28, title=meaning
            )
        )
        x += width + 14
    triggers = triggers_of(layout.saga)
    column = max(layout.width, x) / 2
    for number, (trigger, meaning) in enumerate(triggers.items()):
        x, y = MARGIN + column * (number % 2), top + 72 + 18 * (number // 2)
        words.append(Text(words=trigger, x=x, y=y, look="label"))
        words.append(Text(words=meaning, x=x + 160, y=y, look="quiet"))
    return boxes, words, 72 + 18 * ((len(triggers) + 1) // 2) + 8
