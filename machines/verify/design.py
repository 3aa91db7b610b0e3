"""Faults in the design of a table: it is legal and the engine is right, and still a saga ends where nobody wants it."""

from collections.abc import Iterator
from typing import NamedTuple

from machines.call import Call
from machines.conditions import required_references
from machines.outcomes import Outcome
from machines.references import split
from machines.saga import Saga
from machines.step import Kind, Step
from machines.verify.meanings import UNTRUE, Truth, doubtful, subject_of
from machines.waiting import duration

_PIVOT_TOO_EARLY, _STALE_READ = "pivot too early", "stale read"
#: A wait from this length on makes a value old, in seconds.
_LONG_S = 60.0


class Flaw(NamedTuple):
    """A fault in the design of a table."""

    property: str
    step: str
    why: str
    #: How a saga comes there, in sentences.
    path: tuple[str, ...]
    #: See `Finding.subject`.
    subject: str = ""


def flaws(definition: Saga) -> Iterator[Flaw]:
    """Yield every flaw of a table that its columns show."""
    yield from _behind_the_pivot(definition)
    yield from _stale_reads(definition)
    yield from _inverted_probes(definition)


def acceptable(definition: Saga) -> Iterator[str]:
    """Yield the name of each flaw that the author of a table may accept."""
    for step in definition.steps:
        yield from (f"{each}:{step.name}" for each in (_PIVOT_TOO_EARLY, _STALE_READ))
        for call in (step.call, step.undo, step.probe, step.poll):
            if isinstance(call, Call):
                yield from (f"{UNTRUE}:{subject_of(step, call, each.key)}" for each in doubtful(step, call))


def _behind_the_pivot(definition: Saga) -> Iterator[Flaw]:
    """Yield each step after the point of no return that may be refused, although it could stand before."""
    steps = definition.steps
    numbers = [number for number, step in enumerate(steps) if step.kind in (Kind.PIVOT, Kind.RETRIABLE)]
    if not numbers:
        return
    first, before = steps[numbers[0]], {step.name for step in steps[: numbers[0]]}
    later = {step.name for step in steps} - before
    for step in steps[numbers[0] + 1 :]:
        refuses = _may_refuse(step)
        if not refuses or any(split(each)[0] in later for each in _references(step)):
            continue
        why = f"{step.name} {refuses}, after the point of no return {first.name}: the saga is stuck"
        path = (
            f"{first.name} is done. From here the saga only goes forward.",
            f"{step.name} is refused.",
            f"The saga is stuck. Nothing that {step.name} needs comes from {first.name}: let it stand before.",
        )
        yield Flaw(_PIVOT_TOO_EARLY, step.name, why, path)


def _may_refuse(step: Step) -> str:
    """Return how the table itself says that a step may be refused; "" when it does not."""
    if step.kind is Kind.READ:
        return "is a read that may be refused"
    if step.call is not None and step.call.named_outcomes & {Outcome.REFUSED, Outcome.REFUSED_UNDO}:
        return "may be refused by its means="
    if step.kind is Kind.WAIT and any(
        Outcome.REFUSED in each.values() for each in (step.waits.means if step.waits else {}).values()
    ):
        return "waits for a signal that may refuse"
    return ""


def _references(step: Step) -> Iterator[str]:
    for call in (step.call, step.probe):
        yield from call.references if call else ()
    yield from required_references(step.when) if step.when else ()


def _stale_reads(definition: Saga) -> Iterator[Flaw]:
    """Yield each read whose values are used by an action after a long wait."""
    steps = definition.steps
    for number, step in enumerate(steps):
        if step.kind is not Kind.READ:
            continue
        for later in range(number + 2, len(steps)):
            user = steps[later]
            used = [each for each in _references(user) if split(each)[0] == step.name]
            waits = [each for each in steps[number + 1 : later] if _waits_long(each)]
            if not used or not waits or user.kind is Kind.READ:
                continue
            how_long = _how_long(waits[0])
            why = f"{user.name} uses {used[0]}, which was read before {waits[0].name} ({how_long}): it may be stale"
            path = (
                f"{step.name} is read.",
                f"The saga waits in {waits[0].name}: {how_long}.",
                f"{user.name} is sent with {used[0]} as it was before the wait. Read it after {waits[0].name}.",
            )
            yield Flaw(_STALE_READ, step.name, why, path)
            break


def _inverted_probes(definition: Saga) -> Iterator[Flaw]:
    """Yield each probe that takes a reply for "not done", although a participant may give this reply when it is done.

    The engine does not rely on a probe that says no, so the search finds no harm; but nobody learns what was done.
    """
    found = ((step, step.probe, each) for step in definition.steps if step.probe for each in doubtful(step, step.probe))
    for step, probe, each in found:
        if each.claimed is Truth.REFUSED:
            path = (
                f"{step.name} is done, and its reply is lost.",
                f"The probe of {step.name} is answered: {each.reply}.",
                f'The saga takes this for "{step.name} was not done". Let the probe say REFUSED only for what says so.',
            )
            why = f"the probe of {step.name}: {each.sentence}"
            yield Flaw(UNTRUE, step.name, why, path, subject_of(step, probe, each.key))


def _waits_long(step: Step) -> bool:
    wait = step.waits or step.later
    return wait is not None and (wait.for_s is None or wait.for_s >= _LONG_S)


def _how_long(step: Step) -> str:
    wait = step.waits or step.later
    return f"up to {duration(wait.for_s)}" if wait is not None and wait.for_s is not None else "until a date"
