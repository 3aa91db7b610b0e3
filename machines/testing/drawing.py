"""The path of a saga, drawn with text for a terminal."""

from collections.abc import Iterator, Sequence
from typing import Any

from machines.history import JournalEntry, polls
from machines.running import Move
from machines.saga import Saga
from machines.transitions import Phase, Trigger

#: Trigger → what people read for it.
_WORDS = {
    Trigger.SUCCEEDED: "done",
    Trigger.REFUSED: "refused",
    Trigger.REFUSED_IN_DOUBT: "refused, but it may have worked",
    Trigger.RETRY: "in doubt, is sent again",
    Trigger.DEFER: "not sent, waits",
    Trigger.EXHAUSTED: "in doubt, no attempt is left",
    Trigger.ACCEPTED: "accepted, the answer comes later",
    Trigger.EXPIRE: "the deadline is over",
}
_MARKS = {Phase.STUCK: "!", Phase.COMPLETED: "✓", Phase.COMPENSATED: "↺"}
_WIDTH = 96


def drawn(definition: Saga, journal: Sequence[Move], row: Any, depth: int = 0) -> str:
    """Return the path of a saga: each state, and below it the call or the request that ended it.

    depth: number of sagas above it, by which the path is indented.
    """
    if row is None:
        return f"{definition}: nothing was committed"
    lines = [f"{definition} is {row.status} in {row.state}, after {journal[-1].made - journal[0].made:g} s"]
    lines += _lines(definition, journal)
    if row.error:
        lines.append(f"  error: {row.error}")
    return "\n".join("    " * depth + line for line in lines)


def _lines(definition: Saga, journal: Sequence[Move]) -> Iterator[str]:
    for move in journal:
        if move.trigger != Trigger.START:
            by = f" by {move.actor}" if move.actor not in ("", "engine") else ""
            yield f"  │ {deed(move, by)}"[:_WIDTH].rstrip()
        if move.source == move.dest:
            continue
        phase = definition.states[move.dest].phase
        yield f"  {_MARKS.get(phase, '○' if phase is not Phase.PASSING else '·')} {move.dest}"


def deed(move: Move, by: str = "") -> str:
    """Return what a move did, in words: `undo pay: refused (409 …)`. A row of the journal is such a move, too."""
    words = _short(move)
    number = polls(move)
    if number and move.trigger == Trigger.SUCCEEDED:
        words += f" (after {number} poll{'s' if number > 1 else ''})"
    reason = f" ({move.reason})" if move.reason and move.trigger != Trigger.SUCCEEDED else ""
    return f"{words}{by}{reason}"


def brief(move: Move | JournalEntry) -> str:
    """Return what a move did and where it led, without its reason: `undo pay: refused, to STUCK_UNDO_PAY`."""
    return f"{_short(move)}, to {move.dest}"


def _short(move: Move | JournalEntry) -> str:
    words = _WORDS.get(Trigger(move.trigger), str(move.trigger))
    return f"{'undo ' if move.direction == 'undo' else ''}{move.step}: {words}" if move.step else words
