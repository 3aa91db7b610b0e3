"""The marks and short forms in which the command line speaks. A colour never stands alone: a word goes with it."""

from dataclasses import dataclass
from enum import Enum

_MS_PER_S, _MINUTE_S, _HOUR_S, _DAY_S = 1000, 60, 3600, 86_400


@dataclass(frozen=True)
class Look:
    symbol: str
    style: str


class Mark(Enum):
    """What has become of a step."""

    DONE = Look("✓", "green")
    CURRENT = Look("●", "bold cyan")
    TO_COME = Look("○", "dim")
    FAILED = Look("✗", "bold red")
    UNDONE = Look("↩", "magenta")
    STUCK = Look("!", "bold white on red")


#: What has become of a saga, by its status.
STATUS_LOOKS = {
    "pending": Look("○", "dim"),
    "running": Look("●", "cyan"),
    "compensating": Look("↩", "yellow"),
    "stuck": Look("!", "bold red"),
    "completed": Look("✓", "green"),
    "compensated": Look("■", "magenta"),
}


def took(milliseconds: float) -> str:
    """Say how long something took: `12 ms`, `1.2 s`, `3m 20s`."""
    if milliseconds < _MS_PER_S:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / _MS_PER_S
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else f"{int(seconds // _MINUTE_S)}m {int(seconds % _MINUTE_S)}s"


def ago(seconds: float) -> str:
    """Say how old something is, in its largest unit: `7s`, `12m`, `3h`, `5d`."""
    for unit, sign in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "m")):
        if seconds >= unit:
            return f"{int(seconds // unit)}{sign}"
    return f"{max(int(seconds), 0)}s"


def printable(text: str) -> str:
    """Make one line of it that cannot steer a terminal: participants and clients wrote these texts."""
    return "".join(character if character.isprintable() else "�" for character in " ".join(text.split()))
