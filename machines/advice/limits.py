"""Timeouts and retries of a table against what past sagas have seen."""

from math import ceil

from machines.advice.figures import FEWEST, Figures, percentile

#: A timeout is too short above this share of it, and much too long when the slowest answers need less than a tenth.
_TOO_CLOSE, _MUCH_TOO_LONG = 0.8, 0.1
#: A fitting timeout is so many times the time within which 99 % of the answers came.
_ROOM = 2.0


def timeout_advice(known: Figures) -> str | None:
    """Return what to change about the step's timeout, in words; None: it fits, or too little is known."""
    slow_ms = percentile(known.call_ms, 0.99)
    if slow_ms is None or len(known.call_ms) < FEWEST:
        return None
    timeout_s, slow_s = known.step.timeout_s, slow_ms / 1_000
    fitting_s = max(1, ceil(_ROOM * slow_s))
    seen = f"99 % of the answers came within {slow_s:.3g} s"
    if slow_s > _TOO_CLOSE * timeout_s:
        lost = f", and {known.unanswered} attempts got no answer" if known.unanswered else ""
        return f"timeout_s={timeout_s:g} is close to what it takes: {seen}{lost}; try timeout_s={fitting_s}"
    if slow_s < _MUCH_TOO_LONG * timeout_s and fitting_s <= timeout_s / 2:
        return f"timeout_s={timeout_s:g} is long: {seen}; timeout_s={fitting_s} finds a dead participant sooner"
    return None


def retry_advice(known: Figures) -> str | None:
    """Return what to change about the step's retries, in words; None: they fit, or too little is known."""
    allowed = known.step.retry.attempts
    if not known.enough or allowed == 1:
        return None
    last, most = known.attempts.get(allowed, 0), max(known.attempts, default=0)
    if known.gave_up and last:
        return (
            f"attempts={allowed} ended {known.gave_up} sagas, and {last} succeeded with the last attempt; "
            "more attempts would save some of them"
        )
    if known.gave_up >= FEWEST and most < allowed:
        return (
            f"attempts={allowed} are more than have ever helped: none succeeded after attempt {most}, and "
            f"{known.gave_up} sagas were given up; attempts={max(most + 1, 2)} goes back sooner"
        )
    return None
