"""Moments and durations as a person reads them at a glance."""

from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from app.values import written

_BRIEF = 120
_MS_PER_S, _MINUTE_S, _HOUR_S, _DAY_S = 1000, 60, 3600, 86_400


def lasted(seconds: float) -> str:
    """Say a duration in its two largest units: `12 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = max(seconds, 0.0)
    if seconds < 1:
        return f"{seconds * _MS_PER_S:.0f} ms"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    for unit, (large, small), (one, other) in (
        (_HOUR_S, (_MINUTE_S, 1), ("min", "s")),
        (_DAY_S, (_HOUR_S, _MINUTE_S), ("h", "min")),
        (float("inf"), (_DAY_S, _HOUR_S), ("d", "h")),
    ):
        if seconds < unit:
            whole, rest = divmod(int(seconds), large)
            return f"{whole} {one} {rest // small} {other}" if rest // small else f"{whole} {one}"
    raise AssertionError("nothing lasts for ever")


def clock(at: datetime) -> str:
    """Say a moment to the second, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def fine_clock(at: datetime) -> str:
    """Say the time of a day to the millisecond, in UTC."""
    return at.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]


def cause(error: str | None) -> str:
    """Give what an error says, without the state and step that it begins with and that stand beside it."""
    return (error or "").split(": ", 2)[-1]


def brief(value: Any) -> str:
    """Say a field of a call on a line, without the signs of JSON, and no more of it than can be taken in."""
    text = _plain(value)
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]} …"


def _plain(value: Any) -> str:
    match value:
        case str():
            return value
        case list():
            return "; ".join(map(_plain, value))
        case dict():
            return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
        case _:
            return written(value).decode()


def breakable(name: str) -> Markup:
    """Let a long name be broken behind its underscores, and nowhere else."""
    return escape(name).replace("_", Markup("_<wbr>"))
