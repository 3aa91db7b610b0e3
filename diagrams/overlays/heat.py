"""Many sagas laid over their table: how many are where, for how long, and which way they took."""

from collections.abc import Mapping
from typing import Protocol

from diagrams.descriptions import TIMES
from diagrams.overlays.overlay import Key, Marks, key_of
from machines.rows import Phase
from machines.saga import Saga

#: From which share of all sagas on the way, and of the moves on the busiest edge, a box or a line is how thick.
_BOXES, _LINES = (0.0, 0.2, 0.5), (0.0, 0.05, 0.25, 0.75)


class Figures(Protocol):
    """now, oldest_s, p95_s: by state. moves: by edge, those of the window."""

    @property
    def now(self) -> Mapping[str, int]: ...
    @property
    def oldest_s(self) -> Mapping[str, float]: ...
    @property
    def p95_s(self) -> Mapping[str, float]: ...
    @property
    def moves(self) -> Mapping[Key, int]: ...


def heat_marks(saga: Saga, window: str, figures: Figures) -> Marks:
    now, moves = figures.now, figures.moves
    leaving: dict[str, int] = {}
    for (source, _, dest), count in moves.items():
        if source != dest:
            leaving[source] = leaving.get(source, 0) + count
    shares = {key: count / leaving[key[0]] for key, count in moves.items() if key[0] != key[2]}
    busiest = max((count for (source, _, dest), count in moves.items() if source != dest), default=1)
    on_the_way = sum(now.values())
    headline = (
        f"{on_the_way} on the way now; below, what was in the last {window}: p95 of the time in a state, "
        "and the share of those leaving it that took each edge"
    )
    return Marks(
        title=f"{saga} · heat",
        headline=(headline,),
        lines={name: _lines(saga, name, figures) for name in saga.rows.states},
        notes={key: f"{_percent(share)} ({moves[key]})" for key, share in shares.items()},
        states={name: _grade("h", _BOXES, count / on_the_way) for name, count in now.items() if count},
        edges={
            key: _grade("w", _LINES, moves.get(key, 0) / busiest)
            for key in map(key_of, saga.rows.rows)
            if key[0] != key[2]
        },
    )  # fmt: skip


def _lines(saga: Saga, name: str, figures: Figures) -> tuple[str, ...]:
    now, moves = figures.now, figures.moves
    found = []
    if saga.rows.states[name].phase in (Phase.COMPLETED, Phase.COMPENSATED):
        found.append(f"{sum(count for (_, _, dest), count in moves.items() if dest == name)} arrived")
    if now.get(name):
        found.append(f"{now[name]} here now, oldest {duration(figures.oldest_s.get(name, 0))}")
    if name in figures.p95_s:
        found.append(f"p95 {duration(figures.p95_s[name])}")
    again = [
        f"{trigger} {TIMES}{count}"
        for (source, trigger, dest), count in sorted(moves.items())
        if source == dest == name
    ]
    return (*found, *again)


def duration(seconds: float) -> str:
    """Write a duration in the unit a person would choose."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"


def _percent(share: float) -> str:
    """Never write 100 % or 0 % of what is only nearly so."""
    if 0 < share < 0.01 or 0.99 < share < 1:  # noqa: PLR2004  a percent from either end
        return "<1 %" if share < 0.5 else ">99 %"  # noqa: PLR2004
    return f"{share:.0%}".replace("%", " %")


def _grade(letter: str, steps: tuple[float, ...], share: float) -> str:
    return f"{letter}{sum(share > step for step in steps)}"
