"""Runs a recording in memory, and compares the run with the journal."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from machines.history import JournalEntry
from machines.replay.acts import Act
from machines.replay.recording import Recording
from machines.testing import NotAllowedError, Run
from machines.testing.drawing import deed

#: Shorter waits before a signal or an answer are not repeated, in seconds.
_SHORTEST_S = 60


@dataclass(frozen=True, kw_only=True)
class Played:
    """A run of a recording."""

    recording: Recording
    run: Run
    #: What was done while the run rested, in order; the time that passed stands in `after`.
    done: tuple[Act, ...]
    #: Acts of the journal that the run had no use for.
    unused: tuple[Act, ...]

    @property
    def assumed(self) -> list[str]:
        """The calls that the journal does not have, such as `undo pay`. Their success is an assumption."""
        sent = Counter(self.run.requests)
        more = [call for call, number in sent.items() if number > self.recording.requests.get(call, 0)]
        return [step if purpose == "do" else f"{purpose} {step}" for purpose, step in more]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first move in which a run differs from the journal."""

    #: Number of the move, from 1.
    number: int
    #: Each move in words; "": there is no such move.
    recorded: str
    played: str

    def __str__(self) -> str:
        then = self.recorded or "the saga made no further move"
        now = self.played or "the saga makes no further move"
        return f"move {self.number}: in the journal {then}; by the present table {now}"


def play(recording: Recording) -> Played:
    """Run a recording. Let the attempts follow each other closely when the run differs otherwise."""
    played = play_once(recording)
    if difference(played) is None:
        return played
    closely = play_once(replace(recording, scenario=recording.scenario.without_back_off()))
    return closely if difference(closely) is None else played


def play_once(recording: Recording) -> Played:
    run, done, unused = recording.scenario.run(), [], []
    for act in recording.acts:
        at = _child(run, act.child)
        made = _made(at, act) if at is not None and str(at.state) == act.state else []
        done += made
        unused += [] if made else [act]
    return Played(recording=recording, run=run, done=tuple(done), unused=tuple(unused))


def difference(played: Played) -> Difference | None:
    """Return the first difference between the journal and the run; None without any."""
    recorded, made = played.recording.moves, played.run.journal
    for number in range(max(len(recorded), len(made))):
        then, now = _nth(recorded, number), _nth(made, number)
        if then is None or now is None or _told(then) != _told(now):
            return Difference(number=number + 1, recorded=_words(then), played=_words(now))
    for path, state in played.recording.ends.items():
        child = _child(played.run, path)
        if child is None or str(child.state) != state:
            name = ", ".join(part if item is None else f"{part}[{item}]" for part, item in path)
            now = f"{name} is in {child.state}" if child else f"{name} is not started"
            return Difference(number=len(recorded), recorded=f"{name} is in {state}", played=now)
    return None


def _child(run: Run, path: Sequence[tuple[str, int | None]]) -> Run | None:
    """Return the run of a child; None when the run has not started it."""
    try:
        for name, item in path:
            run = run.child(name, item)
    except LookupError:
        return None
    return run


def _nth(moves: Sequence[Any], number: int) -> Any:
    return moves[number] if number < len(moves) else None


def _told(move: JournalEntry) -> tuple[Any, ...]:
    """Return what is compared of a move: not its time, its actor and its reason.

    The journal may have names that the present table does not have, so all are compared as plain texts.
    """
    step = move.step and str(move.step)
    return str(move.source or ""), str(move.trigger), str(move.dest), step, move.direction


def _words(move: Any) -> str:
    return "" if move is None else f"{deed(move)}, to {move.dest}"


def _made(run: Run, act: Act) -> list[Act]:
    """Do what came from outside. Return it with the time that passed; nothing when the run does not allow it."""
    due_s = run.due_in_s
    if act.method == "after":
        if due_s is None:
            return []
        began_s, moves = run.seconds, len(run.journal)
        while run.due_in_s is not None and len(run.journal) == moves:  # a poll without an answer is no move
            run.after(seconds=run.due_in_s)
        return [replace(act, named={"seconds": run.seconds - began_s})]
    passed = []
    gap_s = float(int(act.gap_s))
    if gap_s >= _SHORTEST_S and (due_s is None or gap_s < due_s) and act.method in ("signal", "answer"):
        run.after(seconds=gap_s)
        passed = [replace(act, method="after", arguments=(), named={"seconds": gap_s})]
    try:
        getattr(run, act.method)(*act.arguments, **act.named)
    except NotAllowedError:
        return []
    return [*passed, act]
