"""How fast the sagas that have waited for a participant go on, so that they do not overload it when it is back."""

from app.participant_settings.model import ParticipantSettings

#: Calls a second to a participant without a setting `rate`; and longest time, in seconds, over which they are spread.
#: With more sagas than fit into this time, more calls a second are sent, because each saga has a deadline.
PACE, LONGEST_S = 20.0, 120.0
#: Seconds that a call is expected to take at a participant with a setting `concurrency`.
CALL_S = 0.2


def gap_s(settings: ParticipantSettings | None) -> float:
    """Return the seconds between two of these calls."""
    gap = 1 / PACE
    if settings and settings.rate:
        calls, period_s = settings.rate
        gap = period_s / calls
    if settings and settings.concurrency:
        gap = max(gap, CALL_S / settings.concurrency)
    return gap


def spread_s(settings: ParticipantSettings | None, sagas: int) -> float:
    """Return the seconds over which the calls of this number of sagas are spread."""
    whole_s = gap_s(settings) * sagas
    limited = settings is not None and (settings.rate or settings.concurrency)
    return whole_s if limited else min(whole_s, LONGEST_S)


class Turns:
    """Gives each call that waits for one participant a turn of its own after the participant may be called again."""

    def __init__(self, settings: ParticipantSettings | None) -> None:
        self._gap_s = gap_s(settings)
        self._longest_s = spread_s(settings, 2**63)
        self._next = 0.0

    def take(self, at: float) -> float:
        """Return the seconds that a call waits for its turn. at: when the participant may be called again."""
        turn = max(self._next, at)
        if turn - at >= self._longest_s:
            turn = at  # the turns are all taken, so they are given again
        self._next = turn + self._gap_s
        return turn - at
