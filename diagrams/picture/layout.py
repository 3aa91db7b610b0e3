"""Where each state of a table stands: five columns, one band a step, the way back beside the way forward."""

from dataclasses import dataclass, replace

from diagrams.descriptions import PHASES, QUARANTINE, notes, shape_of, way_of
from diagrams.overlays.overlay import Marks, key_of
from diagrams.picture.elements import Box, Text, leading, wrapped
from diagrams.picture.step_notes import strip_height, strip_width
from diagrams.step_bands import Band, bands
from machines.rows import Phase, Row, State, Trigger
from machines.saga import Saga

MARGIN = 24
HEADLINE_Y, HEAD = 34, 92
GAP, PIVOT_GAP = 58, 84
#: How far the lines of two parallel edges are from the middle of a box.
LANE = 9
#: Between two labels of one line.
BESIDE = 8
_PADDING = {"stuck": 40, "failure": 30, QUARANTINE: 16}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The layout of a diagram.

    boxes: the states in their places. strip: width of the words beside the bands.
    lines: the y at which each band begins, and at which the last one ends. start_y: y of the initial dot.
    """

    saga: Saga
    marks: Marks
    bands: list[Band]
    boxes: dict[str, Box]
    strip: float
    lines: list[float]
    start_y: float

    @property
    def width(self) -> float:
        return max(box.right for box in self.boxes.values()) + MARGIN


def plan(saga: Saga, marks: Marks) -> Plan:
    found = bands(saga)
    sized = {state.name: _sized(saga, state, marks) for state in saga.rows.states.values()}
    strip = strip_width(saga)
    placed = _columns(saga, found, sized, marks, MARGIN + strip)
    lines, y = [], float(HEAD + 30 + 24 * max(0, len(marks.headline) - 1))
    start_y = y
    placed[saga.compensated] = replace(placed[saga.compensated], y=y + placed[saga.compensated].height / 2 - 8)
    y = placed[saga.compensated].bottom + 34
    for band in found:
        lines.append(y)
        words = y + 16 + strip_height(saga, band, strip) + (34 if band.pivot else 12)
        y = max(words, _band(band, placed, y + 22) + (PIVOT_GAP if band.pivot else GAP) - 22)
    end = placed[saga.completed]
    lines.append(y)
    placed[saga.completed] = replace(end, y=y + 22 + end.height / 2)
    return Plan(saga=saga, marks=marks, bands=found, boxes=placed, strip=strip, lines=lines, start_y=start_y)


def _sized(saga: Saga, state: State, marks: Marks) -> Box:
    shape = _shape(saga, state, marks)
    quiet = shape == QUARANTINE
    lines = [Text(words=state.name, size=9.5 if quiet else 13, look="" if quiet else "bold", anchor="middle")]
    if state.call:
        lines.append(Text(words=str(state.call), size=10.5, look="mono", anchor="middle"))
        lines.append(Text(words=f"↻ {notes(state)[0]}", size=10, look="quiet", anchor="middle"))
    elif state.phase in (Phase.COMPLETED, Phase.COMPENSATED):
        lines.append(Text(words=PHASES[state.phase].removeprefix("the end: "), look="quiet", anchor="middle"))
    room = max(240.0, *(line.width for line in lines))
    for words in marks.lines.get(state.name, ()):
        pieces = wrapped(words, room, 11)
        lines += [Text(words=piece, size=11, look="mark", anchor="middle") for piece in pieces]
    return Box(
        state=state.name,
        shape=shape,
        lines=tuple(lines),
        width=max(line.width for line in lines) + _PADDING.get(shape, 28) + 16,
        height=sum(leading(line) for line in lines) + (8 if quiet else 16),
        look=marks.states.get(state.name, ""),
        says=_says(saga, state),
    )


def _shape(saga: Saga, state: State, marks: Marks) -> str:
    """Return the shape of a state. A quarantine in which nothing happened looks quiet; any other looks stuck."""
    shape = shape_of(saga, state)
    marked = marks.lines.get(state.name) or marks.states.get(state.name, "dim") != "dim"
    return str(Phase.STUCK) if shape == QUARANTINE and marked else shape


def _says(saga: Saga, state: State) -> str:
    again = [row for row in saga.rows.rows if row.source == row.dest == state.name]
    loops = [f"{row.trigger}: stays here ({row.call})" for row in again]
    return "\n".join([f"{state.name}: {PHASES[state.phase]}", *notes(state), *loops])


def _columns(saga: Saga, found: list[Band], sized: dict[str, Box], marks: Marks, left: float) -> dict[str, Box]:
    """Give every box of a column the column's middle and width, and leave room for labels between columns."""
    columns: list[list[str | None]] = [
        [*(b.active for b in found), *(b.before for b in found), saga.completed],
        [*(b.failure for b in found), *(b.stuck for b in found)],
        [*(b.undoing for b in found), saga.compensated],
        [b.undo_stuck for b in found],
    ]
    placed: dict[str, Box] = {}
    for names, gap in zip(columns, _gaps(saga, marks), strict=True):
        boxes = [sized[name] for name in names if name]
        width = max((box.width for box in boxes), default=0.0)
        # A label beside the line in the middle of a column ends before the lines at its right.
        width = max(width, 2 * _widest(saga, _straight(saga, names), marks) + 114 if boxes else 0)
        for box in boxes:
            own = box.width if box.shape == QUARANTINE else width
            placed[box.state] = replace(box, x=left + width / 2, width=own)
        left += width + gap
    return placed


def _gaps(saga: Saga, marks: Marks) -> tuple[float, float, float, float]:
    """Give the room right of each column: as wide as the longest label there."""
    phases = {state.name: state.phase for state in saga.rows.states.values()}
    rows = [row for row in saga.rows.rows if row.source != row.dest]
    out = [row for row in rows if phases[row.source] is Phase.FORWARD]
    back = [row for row in rows if row.trigger.startswith("compensate")]
    undo = [row for row in rows if phases[row.source] is Phase.UNDOING]
    outward, undoing = (max(_widest(saga, rows, marks), _beside(saga, rows, marks)) for rows in (out, undo))
    return outward + 58, _widest(saga, back, marks) + 50, undoing + 46, 0


def _beside(saga: Saga, rows: list[Row], marks: Marks) -> float:
    """Give the width of the labels that stand beside each other: those of a line to where a person decides."""
    widths: dict[str, float] = {}
    for row in rows:
        if saga.rows.states[row.dest].phase is Phase.STUCK:
            widths[row.dest] = widths.get(row.dest, -BESIDE) + label(saga, row, marks).width + BESIDE
    return max(widths.values(), default=0.0)


def _straight(saga: Saga, names: list[str | None]) -> list[Row]:
    """Return the rows that lead from a column up or down in its middle."""
    ways = ("forward", "back")
    return [
        row for row in saga.rows.rows if row.source in names and row.dest in names and way_of(saga.rows, row) in ways
    ]


def _widest(saga: Saga, rows: list[Row], marks: Marks) -> float:
    return max((label(saga, row, marks).width for row in rows), default=0.0)


def label(saga: Saga, row: Row, marks: Marks) -> Text:
    """Give the label of a row: its trigger and what the marks say of it. A quarantine they say nothing of has none."""
    note = marks.notes.get(key_of(row), "")
    quiet = row.trigger is Trigger.QUARANTINE or _shape(saga, saga.rows.states[row.source], marks) == QUARANTINE
    return Text(
        words="" if quiet and not note else f"{row.trigger} {note}".strip(),
        look=f"label {marks.edges.get(key_of(row), '')}".strip(),
    )


def _band(band: Band, placed: dict[str, Box], top: float) -> float:
    """Set the y of a band's boxes from its top; return where it ends."""
    if band.before:
        before = placed[band.before]
        placed[band.before] = replace(before, y=top + before.height / 2)
        top = placed[band.before].bottom + 40
    beside = [name for name in (band.active, band.failure, band.undoing, band.undo_stuck) if name]
    beside += [] if band.failure else [band.stuck]
    y = top + max(placed[name].height for name in beside) / 2
    for name in beside:
        placed[name] = replace(placed[name], y=y)
    lowest = max(placed[name].bottom for name in beside)
    if band.failure:
        stuck = placed[band.stuck]
        below = max(placed[band.failure].bottom + 30 + stuck.height / 2, placed[band.active].bottom + 24)
        placed[band.stuck] = replace(stuck, y=below)
        lowest = max(lowest, placed[band.stuck].bottom - 22)  # what leads on from it needs less room
    return lowest
