"""The path of one saga: the transitions that it made, its current state, the steps that remain, and where it failed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from diagrams.descriptions import TIMES
from diagrams.overlays.overlay import BranchKey, BranchMark, EdgeKey, Overlay, edge_key
from machines.saga import Saga
from machines.transitions import Phase, Trigger

_ENDS = (Phase.COMPLETED, Phase.COMPENSATED)


class Move(Protocol):
    """A row of the journal. The fields are properties, so that any type of record is accepted."""

    @property
    def source(self) -> str | None: ...
    @property
    def trigger(self) -> str: ...
    @property
    def dest(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def actor(self) -> str: ...


def path_overlay(
    saga: Saga,
    saga_id: str,
    status: str,
    state: str,
    moves: Sequence[Move],
    *,
    branches: Mapping[BranchKey, BranchMark] | None = None,
    past: str = "",
) -> Overlay:
    """Return the overlay of one saga. branches: the position of its children, see `branch_marks`.

    past: the moment that is drawn, such as `after entry 3 of 9`; "": the present.
    """
    order: dict[EdgeKey, list[int]] = {}
    for move in moves:
        if move.source and move.source != move.dest:
            place = sum(map(len, order.values())) + 1
            order.setdefault((move.source, move.trigger, move.dest), []).append(place)
    ahead = list(_ahead(saga, state))
    edges = {edge_key(transition): "dim" for transition in saga.transitions} | dict.fromkeys(ahead, "ahead")
    if saga.states[state].phase is Phase.STUCK:  # show every move that a person can request
        edges |= {edge_key(transition): "ahead" for transition in saga.transitions if transition.source == state}
    edges |= dict.fromkeys(order, "taken")
    seen = {move.dest for move in moves} | {dest for _, _, dest in ahead} | {state}
    return Overlay(
        title=f"{saga} · {status}",
        headline=(
            f"saga {saga_id}",
            *([f"It was in {state} {past}."] if past else _headline(saga, state, [source for source, _, _ in ahead])),
        ),
        lines=_lines(saga, state, moves, branches or {}, here="◆ it was here then" if past else ""),
        notes={key: ", ".join(f"#{place}" for place in places) for key, places in order.items()},
        states={name: _look(saga, name, state) if name in seen else "dim" for name in saga.states},
        edges=edges,
        branches=branches or {},
    )


def _ahead(saga: Saga, state: str) -> Iterator[EdgeKey]:
    """Yield the edges that the saga will take from a state if every call succeeds."""
    onward = {
        transition.source: transition
        for transition in reversed(saga.transitions)
        if transition.trigger in (Trigger.SUCCEEDED, Trigger.BEGIN)
    }
    while state in onward:
        yield edge_key(onward[state])
        state = onward[state].dest


def _headline(saga: Saga, state: str, ahead: list[str]) -> list[str]:
    phase = saga.states[state].phase
    if phase in _ENDS:
        return [f"It has ended in {state}. The thick line is the way it took, in the order of the numbers."]
    if phase is Phase.STUCK:
        return [f"It is stuck in {state}: a person decides."]
    steps = [saga.states[name] for name in ahead]
    undo = "undo " if phase is Phase.UNDOING else ""
    remains = ", ".join(f"{undo}{at.step.name}" for at in steps if at.step and at.action)
    return [f"It is in {state}. What remains: {remains}."]


def _lines(
    saga: Saga, state: str, moves: Sequence[Move], branches: Mapping[BranchKey, BranchMark], *, here: str
) -> dict[str, tuple[str, ...]]:
    """Return state → the lines below its name. here: the line of the saga's state; "": the line of the present."""
    found: dict[str, list[str]] = {}
    for waits in saga.states.values():  # what has become of another saga that a step has started
        if waits.awaits_child and waits.step and waits.step.group is None:
            found.setdefault(waits.name, []).extend(branches.get((saga.name, waits.step.name), BranchMark()).lines)
    again = Counter((move.dest, move.trigger) for move in moves if move.source == move.dest)
    for (name, trigger), times in again.items():
        found.setdefault(name, []).append(f"{trigger} {TIMES}{times}")
    for move in moves:
        entered = saga.states.get(move.dest)
        if entered and entered.phase in (Phase.PASSING, Phase.STUCK) and move.reason:
            found.setdefault(move.dest, []).append(move.reason)
    now = "◆ it ended here" if saga.states[state].phase in _ENDS else "◆ it is here now"
    found.setdefault(state, []).append(here or now)
    return {name: tuple(dict.fromkeys(lines)) for name, lines in found.items() if lines}


def _look(saga: Saga, name: str, state: str) -> str:
    failed = name in {step.refused for step in saga.steps} or saga.states[name].phase is Phase.STUCK
    return " ".join(filter(None, ("now" if name == state else "", "failed" if failed else "")))
