"""The checks of `later=`: the answer that a participant gives after it has accepted a call with 202."""

from collections.abc import Iterator

from machines.call import Call
from machines.check_calls import shape_problems
from machines.check_types import column_of, misused, out_of, shown
from machines.later import Later
from machines.outcomes import ACCEPTED
from machines.step import EFFECTFUL, Step
from machines.waiting import LONGEST_STAY_S
from machines.words import Misused

_ACCEPTED = 202  # the status by which a participant accepts a call


def later_value_problems(later: object) -> Iterator[str]:
    """Yield a problem for each value of `later=` with a wrong type or out of bounds."""
    if isinstance(later, Misused):
        yield from misused("later", later)
    elif not isinstance(later, Later):
        yield f"later= is {shown(later)}; write later=callback(within_s=3_600)"
    else:
        yield from _time_problems(later)
        if later.asks is not None or later.every_s:
            yield from _poll_value_problems(later)


def _time_problems(later: Later) -> Iterator[str]:
    return out_of("later= within_s=", later.for_s, 0, LONGEST_STAY_S, above=True)


def _poll_value_problems(later: Later) -> Iterator[str]:
    asks = column_of(later, "asks")
    if isinstance(asks, Misused):
        yield from misused("later", asks)
    elif isinstance(asks, Call):
        yield from (f"later: {problem}" for problem in shape_problems(asks))
    else:
        yield f"later= polls with {shown(asks)}, no call; write poll(get('participant', '/path'), …)"
    wrong = list(out_of("later= every_s=", later.every_s, 0, LONGEST_STAY_S, above=True))
    yield from wrong
    if later.slowest_s is not None and not wrong:
        yield from out_of("later= slowest_s=", later.slowest_s, later.every_s, LONGEST_STAY_S)
    if not wrong and not any(_time_problems(later)) and later.every_s > later.for_s:
        longer = f"every_s={later.every_s:.10g} is longer than within_s={later.for_s:.10g}"
        yield f"later= {longer}, so it would be ignored; make every_s= shorter, or within_s= longer"


def later_problems(step: Step) -> Iterator[str]:
    """Yield a problem for a `later=` that would be ignored, and for each ACCEPTED where no answer comes later."""
    if step.later is not None and step.kind not in EFFECTFUL:
        yield f"a {step.kind} has no effect that is settled later, so later= would be ignored; drop it"
    for column, call in (("call", step.call), ("undo", step.undo), ("probe", step.probe)):
        if call is None:
            continue
        accepts = ACCEPTED in call.named_outcomes
        if accepts and (step.later is None or column != "call"):
            yield f"the means= of its {column} has ACCEPTED, and no answer to it comes later; use IN_DOUBT"
        if column == "call" and step.later is not None and not accepts and _ACCEPTED in call.means:
            yield "its means= says what 202 means, so later= would be ignored; write means={202: ACCEPTED}, or drop it"
    if step.call is not None and step.asks is not None:
        yield from _poll_problems(step.call, step.asks)


def _poll_problems(call: Call, asks: Call) -> Iterator[str]:
    if asks.method != "GET":
        yield f"its poll {asks} might change something; ask with get()"
    if asks.retry is not None:
        yield "a poll is sent again after every_s=, so its retry= would be ignored; drop it"
    if asks.keeps and (missing := call.keeps.keys() - asks.keeps.keys()):
        yield f"its poll does not keep {', '.join(sorted(missing))}, as its call does; add it to the poll's keeps="
