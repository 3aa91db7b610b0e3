"""What a saga waits for between two calls: the end of a pause, or a signal from outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from machines.fields import Field
from machines.outcomes import IN_DOUBT, REFUSED, SUCCEEDED, Outcome
from machines.references import parts, within

#: Largest for_s= and within_s=, in seconds: ten years.
LONGEST_STAY_S = 10 * 366 * 24 * 3_600

#: Roles that a signal can need.
ROLES = ("operator", "admin")


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What ends the wait of a step. No thread waits: the database holds the time at which the wait is over."""

    #: Longest stay, in seconds; None: until the time that `until` refers to.
    for_s: float | None = None
    #: Reference of a date or datetime at which a pause ends.
    until: str | None = None
    #: Name of the signal that ends the wait; None: only time ends it.
    signal: str | None = None
    #: Fields of the signal's body. Later calls refer to them as to a reply of the step.
    brings: Mapping[str, Field] = field(default_factory=dict)
    #: Field of the body → its value → SUCCEEDED or REFUSED. A body with no such value means SUCCEEDED.
    means: Mapping[str, Mapping[Any, Outcome]] = field(default_factory=dict)
    #: Role that a person needs to send the signal; None: each caller that may start sagas can send it.
    role: str | None = None
    #: Outcome of the wait when the time is over and no signal has arrived: SUCCEEDED or REFUSED. None: REFUSED before
    #: the pivot; after the pivot the saga is stuck.
    over: Outcome | None = None

    @property
    def can_lack_signal(self) -> bool:
        """True: the step is also done when no signal arrives in time, so what the signal brings may be missing."""
        return self.over is Outcome.SUCCEEDED

    def outcome_of(self, body: Mapping[str, Any]) -> Outcome:
        """Return the outcome that the body of a signal means."""
        for path, meanings in self.means.items():
            try:
                value = within(body, parts(path))
            except (LookupError, TypeError):
                continue
            for known, outcome in meanings.items():
                if type(known) is type(value) and known == value:  # 1 is not True
                    return outcome
        return SUCCEEDED

    def outcome_at_end(self, *, can_go_back: bool) -> Outcome:
        """Return the outcome of a wait whose time is over. can_go_back: the saga can still be compensated."""
        if self.signal is None:
            return SUCCEEDED
        return self.over or (REFUSED if can_go_back else IN_DOUBT)

    def __str__(self) -> str:
        limit = f"until {self.until}" if self.until else duration(self.for_s or 0.0)
        return f"signal {self.signal}, {limit} at most" if self.signal else f"pause {limit}"


def duration(seconds: float) -> str:
    """Return a duration in its largest units: `14 d`, `1 h 30 min`."""
    left, words = round(seconds), []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or f"{seconds:g} s"
