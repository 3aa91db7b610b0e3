"""Probes and polls that cannot tell the sagas apart, at a participant that keeps no idempotency keys.

They are sent with the Idempotency-Key of their call. A participant without keys ignores it, so the request itself must
name what this saga has done. Otherwise the effect of another saga is found, and taken for that of this one.
"""

from collections.abc import Iterator

from machines.branches import BranchTable
from machines.call import Call
from machines.fields import Field, FieldKind
from machines.outcomes import IN_DOUBT
from machines.references import parts
from machines.retry import Retry
from machines.saga import Saga
from machines.step import Step
from machines.verify.flaw import Flaw

SHARED = "shared probe"


def shared_probes(definition: Saga) -> Iterator[Flaw]:
    """Yield each step whose probe or poll may find what another saga has done."""
    for step in definition.steps:
        if step.call is None or step.starts is not None or _attempts(step) > 1:
            continue
        for what, call in (("probe", step.probe), ("poll", step.asks)):
            if call is not None and not any(_is_own(definition, each) for each in call.references):
                yield _flaw(step, what, call)
                break


def _attempts(step: Step) -> int:
    """Return how many times the call of a step may be sent; a participant of a call that is sent once keeps no keys."""
    own = step.call.retry if step.call else None
    retry = own if isinstance(own, Retry) else own.get(IN_DOUBT) if own else None
    return (retry or step.retry).attempts


def _is_own(definition: Saga, reference: str) -> bool:
    """Return True for a value that no other saga has: its id, its key, a UUID of its data, or a part of a reply."""
    root, *below = parts(reference)
    replies = definition.replies if isinstance(definition, BranchTable) else ()
    if root in replies or root not in definition.data:
        return True
    field: Field | None = definition.data[root]
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
