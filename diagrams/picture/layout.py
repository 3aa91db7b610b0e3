"""The position and the size of each state. Each step has a band, with its compensation at the right of its action."""

from dataclasses import dataclass, replace

from diagrams.descriptions import PHASES, QUARANTINE, edge_kind, notes, shape_of
from diagrams.overlays.overlay import Overlay, edge_key
from diagrams.picture.block import Block
from diagrams.picture.elements import Box, Text, line_height, wrap
from diagrams.picture.groups import group_block
from diagrams.picture.step_notes import notes_height, notes_width
from diagrams.step_bands import Band, step_bands
from machines.saga import Saga
from machines.transitions import Phase, State, Transition, Trigger

MARGIN = 24
HEADLINE_Y, HEAD = 34, 92
GAP, PIVOT_GAP = 58, 84
#: Distance of an edge from the middle of a box when two parallel edges meet the box, in pixels.
LANE = 9
#: Length of the line between a state and the branches that it waits for, in pixels.
TIE = 44
#: Space between two labels of one edge, in pixels.
BESIDE = 8
_PADDING = {"stuck": 40, "failure": 30, QUARANTINE: 16}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The layout of a diagram. All lengths are pixels.

    boxes: state → its box with its position.
    notes_width: the width of the notes about steps, at the left of the bands.
    lines: the y at which each band begins, and then the y at which the last band ends.
    start_y: the y of the dot from which the first edge starts.
    """

    saga: Saga
    overlay: Overlay
    bands: list[Band]
    boxes: dict[str, Box]
    notes_width: float
    lines: list[float]
    start_y: float
    #: Number of a step → the branches that it starts, at their place.
    groups: dict[int, Block]

    @property
    def groups_x(self) -> float:
        """The x at which the branches begin."""
        return MARGIN + self.notes_width

    @property
    def width(self) -> float:
        return max(box.right for box in self.boxes.values()) + MARGIN


def layout(saga: Saga, overlay: Overlay) -> Layout:
    found = step_bands(saga)
    sized = {state.name: _sized(saga, state, overlay) for state in saga.states.values()}
    width = notes_width(saga)
    groups = {band.number: group_block(saga.name, band.step, overlay) for band in found if band.step.group}
    beside = max((block.width for block in groups.values()), default=-TIE) + TIE
    placed = _columns(saga, found, sized, overlay, MARGIN + width + beside)
    lines, y = [], float(HEAD + 30 + 24 * max(0, len(overlay.headline) - 1))
    start_y = y
    placed[saga.compensated] = replace(placed[saga.compensated], y=y + placed[saga.compensated].height / 2 - 8)
    y = placed[saga.compensated].bottom + 34
    for band in found:
        lines.append(y)
        words = y + 16 + notes_height(saga, band, width) + (34 if band.pivot else 12)
        below = _band(band, placed, y + 22) + (PIVOT_GAP if band.pivot else GAP) - 22
        if band.number in groups:
            top, block = placed[band.active].top, groups[band.number]
            groups[band.number] = block.at(MARGIN + width, top)
            below = max(below, top + block.height + 16)
        y = max(words, below)
    end = placed[saga.completed]
    lines.append(y)
    placed[saga.completed] = replace(end, y=y + 22 + end.height / 2)
    return Layout(
        saga=saga,
        overlay=overlay,
        bands=found,
        boxes=placed,
        notes_width=width,
        lines=lines,
        start_y=start_y,
        groups=groups,
    )


def _sized(saga: Saga, state: State, overlay: Overlay) -> Box:
    shape = _shape(saga, state, overlay)
    quiet = shape == QUARANTINE
    title = saga.titles.get(state.name)
    lines = [Text(words=title or state.name, size=9.5 if quiet else 13, look="" if quiet else "bold", anchor="middle")]
    if title:
        lines.append(Text(words=state.name, size=9.5, look="quiet", anchor="middle"))
    if state.call:
        lines.append(Text(words=str(state.call), size=10.5, look="mono", anchor="middle"))
        lines.append(Text(words=f"↻ {notes(state)[0]}", size=10, look="quiet", anchor="middle"))
    elif state.waits:
        lines.append(Text(words=f"◷ {state.waits}", size=10.5, look="quiet", anchor="middle"))
        if state.poll:
            lines.append(Text(words=str(state.poll), size=10.5, look="mono", anchor="middle"))
    elif state.phase is Phase.PASSING and (asks := _question(saga, state)):
        lines += [Text(words=words, size=10.5, look="quiet", anchor="middle") for words in wrap(asks, 240.0, 10.5)]
    elif state.phase in (Phase.COMPLETED, Phase.COMPENSATED):
        lines.append(Text(words=PHASES[state.phase].removeprefix("the end: "), look="quiet", anchor="middle"))
        if state.at_end:
            lines.append(Text(words=f"then {state.at_end}", size=10.5, look="mono", anchor="middle"))
    room = max(240.0, *(line.width for line in lines))
    for words in overlay.lines.get(state.name, ()):
        pieces = wrap(words, room, 11)
        lines += [Text(words=piece, size=11, look="mark", anchor="middle") for piece in pieces]
    return Box(
        state=state.name,
        shape=shape,
        lines=tuple(lines),
        width=max(line.width for line in lines) + _PADDING.get(shape, 28) + 16,
        height=sum(line_height(line) for line in lines) + (8 if quiet else 16),
        look=overlay.states.get(state.name, ""),
        title=_title(saga, state),
    )


def _question(saga: Saga, state: State) -> str:
    """Return the condition that is decided in a state; "" for a state in which none is."""
    begin = next((each for each in saga.transitions if each.source == state.name and each.when), None)
    return f"◇ {begin.when}?" if begin else ""


def _shape(saga: Saga, state: State, overlay: Overlay) -> str:
    """Return the shape of a state. A quarantine state with lines or styles of the overlay is drawn as a stuck state."""
    shape = shape_of(saga, state)
    marked = overlay.lines.get(state.name) or overlay.states.get(state.name, "dim") != "dim"
    return str(Phase.STUCK) if shape == QUARANTINE and marked else shape


def _title(saga: Saga, state: State) -> str:
    again = [transition for transition in saga.transitions if transition.source == transition.dest == state.name]
    loops = [f"{transition.trigger}: stays here ({transition.call})" for transition in again]
    return "\n".join([f"{state.name}: {PHASES[state.phase]}", *notes(state), *loops])


def _columns(saga: Saga, found: list[Band], sized: dict[str, Box], overlay: Overlay, left: float) -> dict[str, Box]:
    """Return the boxes with the x and the width of their column. The labels fit into the space between columns."""
    columns: list[list[str | None]] = [
        [*(b.active for b in found), *(b.before for b in found), *(b.awaiting for b in found), saga.completed],
        [*(b.failure for b in found), *(b.stuck for b in found)],
        [*(b.undoing for b in found), saga.compensated],
        [b.undo_stuck for b in found],
    ]
    placed: dict[str, Box] = {}
    for names, gap in zip(columns, _gaps(saga, overlay), strict=True):
        boxes = [sized[name] for name in names if name]
        width = max((box.width for box in boxes), default=0.0)
        # A label at an edge in the middle of a column must fit into the right half of the column.
        width = max(width, 2 * _widest(saga, _straight(saga, names), overlay) + 114 if boxes else 0)
        for box in boxes:
            own = box.width if box.shape == QUARANTINE else width
            placed[box.state] = replace(box, x=left + width / 2, width=own)
        left += width + gap
    return placed


def _gaps(saga: Saga, overlay: Overlay) -> tuple[float, float, float, float]:
    """Return the space at the right of each column, in which the longest label there fits."""
    phases = {state.name: state.phase for state in saga.states.values()}
    transitions = [transition for transition in saga.transitions if transition.source != transition.dest]
    out = [transition for transition in transitions if phases[transition.source] in (Phase.FORWARD, Phase.WAITING)]
    back = [transition for transition in transitions if transition.trigger.startswith("compensate")]
    undo = [transition for transition in transitions if phases[transition.source] is Phase.UNDOING]
    outward, undoing = (
        max(_widest(saga, transitions, overlay), _beside(saga, transitions, overlay)) for transitions in (out, undo)
    )
    return outward + 58, _widest(saga, back, overlay) + 50, undoing + 46, 0


def _beside(saga: Saga, transitions: list[Transition], overlay: Overlay) -> float:
    """Return the width of the widest row of labels. All transitions into one stuck state have their labels in a row."""
    widths: dict[str, float] = {}
    for transition in transitions:
        if saga.states[transition.dest].phase is Phase.STUCK:
            widths[transition.dest] = (
                widths.get(transition.dest, -BESIDE) + label(saga, transition, overlay).width + BESIDE
            )
    return max(widths.values(), default=0.0)


def _straight(saga: Saga, names: list[str | None]) -> list[Transition]:
    """Return the transitions that lead straight up or down within a column."""
    ways = ("forward", "back")
    return [
        transition
        for transition in saga.transitions
        if transition.source in names and transition.dest in names and edge_kind(saga, transition) in ways
    ]


def _widest(saga: Saga, transitions: list[Transition], overlay: Overlay) -> float:
    return max((label(saga, transition, overlay).width for transition in transitions), default=0.0)


def label(saga: Saga, transition: Transition, overlay: Overlay) -> Text:
    """Return the label of a transition: its trigger and the note of the overlay. Quarantines have only the note."""
    note = overlay.notes.get(edge_key(transition), "")
    quiet = (
        transition.trigger is Trigger.QUARANTINE or _shape(saga, saga.states[transition.source], overlay) == QUARANTINE
    )
    return Text(
        words="" if quiet and not note else f"{transition.trigger} {note}".strip(),
        look=f"label {overlay.edges.get(edge_key(transition), '')}".strip(),
    )


def _band(band: Band, placed: dict[str, Box], top: float) -> float:
    """Set the y of the boxes of a band that begins at `top`. Return the y at which the band ends."""
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
        lowest = max(lowest, placed[band.stuck].bottom - 22)  # the edges that leave the stuck state need less space
    if band.awaiting:
        lowest = max(lowest, placed[band.stuck].bottom)
        awaiting = placed[band.awaiting]
        placed[band.awaiting] = replace(awaiting, y=lowest + 44 + awaiting.height / 2)
        lowest = placed[band.awaiting].bottom
    return lowest
