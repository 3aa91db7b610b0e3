"""Durations, moments and short texts as people read them."""

from datetime import UTC, datetime
from typing import Any

from app.values import written
from machines.progress import CANCELLED, EXPIRED

#: Largest number of characters of a field that is shown on one line.
_BRIEF = 120
#: Unit to which a time is shown → its characters in `2027-01-31 09:30:00.000`.
_LENGTHS = {"day": 10, "minute": 16, "second": 19, "millisecond": 23}
_MS_PER_S, _MINUTE_S, _HOUR_S, _DAY_S = 1000, 60, 3600, 86_400


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `12 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = max(seconds, 0.0)
    if seconds < 1:
        return f"{seconds * _MS_PER_S:.0f} ms"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    for unit, (large, small), (large_name, small_name) in (
        (_HOUR_S, (_MINUTE_S, 1), ("min", "s")),
        (_DAY_S, (_HOUR_S, _MINUTE_S), ("h", "min")),
        (float("inf"), (_DAY_S, _HOUR_S), ("d", "h")),
    ):
        if seconds < unit:
            whole, rest = divmod(int(seconds), large)
            return f"{whole} {large_name} {rest // small} {small_name}" if rest // small else f"{whole} {large_name}"
    raise AssertionError("every duration is shorter than infinity")


def short_duration(milliseconds: float) -> str:
    """Return a duration for a narrow column: `12 ms`, `1.2 s`, `3m 20s`."""
    if milliseconds < _MS_PER_S:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / _MS_PER_S
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else f"{int(seconds // _MINUTE_S)}m {int(seconds % _MINUTE_S)}s"


def age(seconds: float) -> str:
    """Return an age in its largest unit: `7s`, `12m`, `3h`, `5d`."""
    for unit, sign in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "m")):
        if seconds >= unit:
            return f"{int(seconds // unit)}{sign}"
    return f"{max(int(seconds), 0)}s"


def moment(at: datetime, unit: str = "second") -> str:
    """Return a date and time in UTC, to the `day`, `minute`, `second` or `millisecond`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[: _LENGTHS[unit]]


def time_of_day(at: datetime) -> str:
    """Return the time of day in UTC, with milliseconds."""
    return moment(at, "millisecond")[_LENGTHS["day"] + 1 :]


def cause(error: str | None) -> str:
    """Return a saga's error without the state and the step at its beginning; the pages show both beside the error."""
    error = error or ""
    return error if is_cancel(error) else error.split(": ", 1 if is_late(error) else 2)[-1]


def is_cancel(error: str | None) -> bool:
    """Return True for the error of a cancelled saga. It names no state and no step."""
    return (error or "").startswith(CANCELLED)


def is_late(error: str | None) -> bool:
    """Return True for the error of a saga whose time was over. It names no state."""
    return (error or "").startswith(EXPIRED)


def brief(value: Any) -> str:
    """Return a field of a call as one short line, without the quotes and braces of JSON."""
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
