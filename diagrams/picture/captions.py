"""The words around a picture: its title and columns, what each step is, the line of no return, the legend."""

from collections.abc import Iterator

from diagrams.descriptions import POINT_OF_NO_RETURN, TRIGGERS
from diagrams.picture.elements import Box, Shade, Text, leading
from diagrams.picture.layout import HEADLINE_Y, MARGIN, Plan
from diagrams.picture.step_notes import strip
from diagrams.step_bands import Band

_LEGEND = (
    ("forward", "a call is in flight"),
    ("passing", "waits to be sent"),
    ("failure", "failed: turns back"),
    ("undoing", "undoes a step"),
    ("stuck", "stuck: a person decides"),
    ("quarantine", "in quarantine: a person decides"),
    ("completed", "end: all is done"),
    ("compensated", "end: all is undone"),
)


def shades(plan: Plan) -> Iterator[Shade]:
    width = plan.width - 2 * MARGIN + 16
    for band, top, bottom in zip(plan.bands, plan.lines, plan.lines[1:], strict=False):
        if band.number % 2:
            yield Shade(x=MARGIN - 8, y=top, width=width, height=bottom - top, look="band")
    for band, bottom in zip(plan.bands, plan.lines[1:], strict=False):
        if band.pivot:
            yield Shade(x=MARGIN - 8, y=bottom - 3, width=width, height=2, look="pivot")
            yield Shade(x=MARGIN - 8, y=bottom + 1, width=width, height=2, look="pivot")


def texts(plan: Plan) -> Iterator[Text]:
    yield Text(words=plan.marks.title, x=MARGIN, y=HEADLINE_Y, size=20, look="bold")
    for number, words in enumerate(plan.marks.headline):
        yield Text(words=words, x=MARGIN, y=HEADLINE_Y + 24 + 20 * number, size=13, look="mark")
    yield from _heads(plan)
    for band, top, bottom in zip(plan.bands, plan.lines, plan.lines[1:], strict=False):
        yield from _strip(plan, band, top)
        if band.pivot:
            yield Text(words=POINT_OF_NO_RETURN.upper(), x=MARGIN, y=bottom - 11, look="bold")
            words = "below this line the saga only goes forward"
            yield Text(words=words, x=plan.boxes[plan.saga.compensated].x, y=bottom - 11, look="bold", anchor="middle")


def _heads(plan: Plan) -> Iterator[Text]:
    y = plan.start_y - 24
    boxes, saga = plan.boxes, plan.saga
    yield Text(words="STEP", x=MARGIN, y=y, size=10.5, look="head")
    heads: list[tuple[str, str | None]] = [
        ("FORWARD ↓", saga.completed),
        ("FAILURE OR STUCK", plan.bands[0].failure or plan.bands[0].stuck),
        ("COMPENSATION ↑", saga.compensated),
        ("STUCK IN COMPENSATION", next((b.undo_stuck for b in plan.bands if b.undo_stuck), None)),
    ]
    for words, state in heads:
        if state:
            yield Text(words=words, x=boxes[state].x, y=y, size=10.5, look="head", anchor="middle")


def _strip(plan: Plan, band: Band, top: float) -> Iterator[Text]:
    y = top + 16
    for line in strip(plan.saga, band, plan.strip):
        y += leading(line)
        yield line.at(MARGIN, y)


def legend(plan: Plan, top: float) -> tuple[list[Box], list[Text], float]:
    """Give a legend below the picture: its boxes, its words and its height."""
    boxes, words, x = [], [Text(words="LEGEND", x=MARGIN, y=top, size=10.5, look="head")], float(MARGIN)
    for shape, says in _LEGEND:
        line = Text(words=says, size=11, anchor="middle")
        width = line.width + (46 if shape in ("stuck", "quarantine") else 32)
        boxes.append(
            Box(state="", shape=shape, lines=(line,), x=x + width / 2, y=top + 30, width=width, height=28, says=says)
        )
        x += width + 14
    column = max(plan.width, x) / 2
    for number, (trigger, says) in enumerate(TRIGGERS.items()):
        x, y = MARGIN + column * (number % 2), top + 72 + 18 * (number // 2)
        words.append(Text(words=trigger, x=x, y=y, look="label"))
        words.append(Text(words=says, x=x + 128, y=y, look="quiet"))
    return boxes, words, 72 + 18 * ((len(TRIGGERS) + 1) // 2) + 8
