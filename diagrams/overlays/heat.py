"""The heat map: how many sagas are in each state, how long they stay, and which transitions they take."""

from collections.abc import Mapping
from typing import Protocol

from diagrams.descriptions import TIMES
from diagrams.overlays.overlay import EdgeKey, Overlay, edge_key
from machines.saga import Saga
from machines.transitions import Phase

#: Shares at which a line becomes wider. The share of a box is its part of all unfinished sagas. The share of an edge is
#: the number of its moves, divided by that of the busiest edge.
_BOXES, _LINES = (0.0, 0.2, 0.5), (0.0, 0.05, 0.25, 0.75)


class Figures(Protocol):
    """The numbers of one definition.

    By state: the sagas in it now, the longest stay, and the 95th percentile of the stays, both in seconds. By edge: the
    moves within a time window.
    """

    @property
    def now(self) -> Mapping[str, int]: ...
    @property
    def oldest_s(self) -> Mapping[str, float]: ...
    @property
    def p95_s(self) -> Mapping[str, float]: ...
    @property
    def moves(self) -> Mapping[EdgeKey, int]: ...


def heat_overlay(saga: Saga, window: str, figures: Figures) -> Overlay:
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
    return Overlay(
        title=f"{saga} · heat",
        headline=(headline,),
        lines={name: _lines(saga, name, figures) for name in saga.states},
        notes={key: f"{_percent(share)} ({moves[key]})" for key, share in shares.items()},
        states={name: _grade("h", _BOXES, count / on_the_way) for name, count in now.items() if count},
        edges={
            key: _grade("w", _LINES, moves.get(key, 0) / busiest)
            for key in map(edge_key, saga.transitions)
            if key[0] != key[2]
        },
    )  # fmt: skip


def _lines(saga: Saga, name: str, figures: Figures) -> tuple[str, ...]:
    now, moves = figures.now, figures.moves
    found = []
    if saga.states[name].phase in (Phase.COMPLETED, Phase.COMPENSATED):
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
    """Return a duration in a readable unit: 850 ms, 2.5 s, 3 min, 5 h, 2 d."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"


def _percent(share: float) -> str:
    """Return a share in percent. A share between 0 and 1 % is "<1 %", and one between 99 and 100 % is ">99 %"."""
    if 0 < share < 0.01 or 0.99 < share < 1:  # noqa: PLR2004  explained above
        return "<1 %" if share < 0.5 else ">99 %"  # noqa: PLR2004
    return f"{share:.0%}".replace("%", " %")


def _grade(letter: str, steps: tuple[float, ...], share: float) -> str:
    return f"{letter}{sum(share > step for step in steps)}"
