"""Faults in the design of a table: it is legal and the engine is right, and still a saga ends where nobody wants it."""

from collections.abc import Iterator

from machines.call import Call
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Step
from machines.verify.deadlines import SHORT, short_deadlines
from machines.verify.flaw import Flaw
from machines.verify.meanings import UNTRUE, Truth, doubtful, subject_of
from machines.verify.pivots import TOO_EARLY, pivots_too_early
from machines.verify.sharing import SHARED_PROBE, SHARED_UNDO, shared_calls
from machines.verify.staleness import STALE, stale_reads


def flaws(definition: Saga, registry: Registry) -> Iterator[Flaw]:
    """Yield every flaw of a table that its columns show, alone or together with those of its children."""
    yield from pivots_too_early(definition, registry)
    yield from stale_reads(definition, registry)
    yield from shared_calls(definition, registry)
    yield from _inverted_probes(definition)
    yield from short_deadlines(definition, registry)


def acceptable(definition: Saga, registry: Registry) -> Iterator[str]:
    """Yield the name of each flaw that the author of a table may accept."""
    for name, step in _steps(definition.steps, registry, ""):
        yield from (f"{each}:{name}" for each in (TOO_EARLY, STALE, SHARED_PROBE, SHARED_UNDO, SHORT))
        for call in (step.call, step.undo, step.probe, step.poll):
            if isinstance(call, Call):
                yield from (f"{UNTRUE}:{subject_of(step, call, each.key)}" for each in doubtful(step, call))


def _steps(steps: tuple[Step, ...], registry: Registry, label: str) -> Iterator[tuple[str, Step]]:
    """Yield each step of a table and of its children, with its name in the tree, such as `pay.charge`."""
    for step in steps:
        yield label + step.name, step
        for branch in step.group.branches if step.group is not None else ():
            yield from _steps(branch.steps, registry, label)
        if step.starts is not None and step.group is None:
            yield from _steps(registry.latest(step.starts).steps, registry, f"{label}{step.name}.")


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
