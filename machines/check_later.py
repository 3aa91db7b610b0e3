"""The checks of `later=`: the answer that a participant gives after it has accepted a call with 202."""

from collections.abc import Iterator

from machines.check_types import misused, out_of, shown
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
        yield from out_of("later= within_s=", later.for_s, 0, LONGEST_STAY_S, above=True)


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
