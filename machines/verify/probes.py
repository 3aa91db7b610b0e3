"""Probes and polls that cannot tell the sagas apart, at a participant that keeps no idempotency keys.

They are sent with the Idempotency-Key of their call. A participant without keys ignores it, so the request itself must
name what this saga has done. Otherwise the effect of another saga is found, and taken for that of this one.
"""

from collections.abc import Iterator, Mapping

from machines.call import Call
from machines.fields import Field, FieldKind
from machines.outcomes import IN_DOUBT
from machines.references import SAGA, parts
from machines.registry import Registry
from machines.retry import Retry
from machines.saga import Saga
from machines.step import EFFECTFUL, Kind, Step
from machines.verify.flaw import Flaw

SHARED = "shared probe"


def shared_probes(definition: Saga, registry: Registry) -> Iterator[Flaw]:
    """Yield each step whose probe or poll may find what another saga has done."""
    steps = _visible(definition, registry)
    for step in definition.steps:
        if step.call is None or step.starts is not None or _attempts(step) > 1:
            continue
        for what, call in (("probe", step.probe), ("poll", step.asks)):
            if call is not None and not any(_is_own(definition.data, steps, each) for each in call.references):
                yield _flaw(step, what, call)
                break


def _attempts(step: Step) -> int:
    """Return how many times the call of a step may be sent; a participant of a call that is sent once keeps no keys."""
    own = step.call.retry if step.call else None
    retry = own if isinstance(own, Retry) else own.get(IN_DOUBT) if own else None
    return (retry or step.retry).attempts


def _visible(definition: Saga, registry: Registry) -> Mapping[str, Step]:
    """Return the steps of a table by name; of a branch, also those of the tables around it."""
    outer = [
        table for table in registry
        if table.version == definition.version and definition.name.startswith(f"{table.name}.")
    ]  # fmt: skip
    return {step.name: step for table in (*outer, definition) for step in table.steps}


def _is_own(data: Mapping[str, Field], steps: Mapping[str, Step], reference: str) -> bool:
    """Return True for a value that no other saga has.

    It is the saga's id, its key, a UUID of its data, or a part of the reply to a step that did something for this saga.
    What was only read is as unique as what it was asked by.
    """
    root, *below = parts(reference)
    if root == SAGA:
        return True
    if root in steps:
        step = steps[root]
        read = step.call if step.kind is Kind.READ else None
        if read is not None:
            return any(_is_own(data, steps, each) for each in read.references)
        return step.starts is not None or step.kind in EFFECTFUL
    field = data.get(root)
    for name in below:
        field = (field.items or {}).get(name) if field and field.kind is FieldKind.OBJECT else None
    return field is not None and field.kind is FieldKind.UUID


def _flaw(step: Step, what: str, call: Call) -> Flaw:
    asked = f"{what} of {step.name} asks by {', '.join(sorted(call.references)) or 'nothing of the saga'}"
    why = f"the {asked}, and its participant keeps no keys: it may find what another saga has done"
    path = (
        f"Another saga has done {step.name}.",
        f"The call of {step.name} is sent once; it is lost, and no answer comes.",
        f"The {asked}, and finds what the other saga has done. Ask by saga.id, or by an id of this saga alone.",
    )
    return Flaw(SHARED, step.name, why, path)
