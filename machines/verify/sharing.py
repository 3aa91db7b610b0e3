"""Calls that cannot tell the sagas apart, at a participant that does not match them by their headers.

A probe and a poll are sent with the Idempotency-Key of their call. A participant without keys ignores it. Only the
barrier matches an undo with its action, because their keys differ. So the request itself must name what this saga has
done. Otherwise the effect of another saga is found, and taken for that of this one, or is taken back.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum

from machines.branches import BranchTable
from machines.call import Call
from machines.children import INDEX, ITEM
from machines.fields import FieldKind
from machines.outcomes import IN_DOUBT
from machines.participant_kinds import ParticipantKind, kind_of
from machines.references import SAGA, parts
from machines.registry import Registry
from machines.retry import Retry
from machines.saga import Saga
from machines.step import EFFECTFUL, Kind, Step
from machines.templates import references
from machines.verify.flaw import Flaw

SHARED_PROBE = "shared probe"
SHARED_UNDO = "shared undo"


def shared_calls(definition: Saga, registry: Registry) -> Iterator[Flaw]:
    """Yield each step whose probe, poll or undo may meet what another saga has done."""
    owners = _Owners(definition, registry)
    for step in definition.steps:
        if step.call is None or step.starts is not None:
            continue
        keyless = _attempts(step) == 1
        for what, call in (("probe", step.probe), ("poll", step.asks)):
            if keyless and call is not None and not owners.names_saga(call.required_references):
                yield _found(step, what, call)
                break
        if step.undo is not None and (keyless or kind_of(step) is not ParticipantKind.BARRIER):
            if step.call.method == "PUT" and not owners.names_saga(_address(step.call)):
                yield _taken_back(step, "call", "puts", _address(step.call))
            elif not owners.names_saga(step.undo.required_references):
                yield _taken_back(step, "undo", "asks", step.undo.references)


def _attempts(step: Step) -> int:
    """Return how many times the call of a step may be sent; a participant of a call that is sent once keeps no keys."""
    own = step.call.retry if step.call else None
    retry = own if isinstance(own, Retry) else own.get(IN_DOUBT) if own else None
    return (retry or step.retry).attempts


def _address(call: Call) -> Sequence[str]:
    """Return the references that name what a PUT puts: those of its path and query; of its body without any."""
    return (*call.path_references, *references(dict(call.query), optional=False)) or call.required_references


class _Owner(IntEnum):
    """Who has a value."""

    ANY_SAGA = 0
    #: The same item of the list of any saga.
    ITEM = 1
    #: The saga around an each(): all its items have the same value.
    PARENT = 2
    THIS_SAGA = 3


class _Owners:
    """The values that a table can refer to, and who has them."""

    def __init__(self, definition: Saga, registry: Registry) -> None:
        around = [
            table for table in registry
            if table.version == definition.version and definition.name.startswith(f"{table.name}.")
        ]  # fmt: skip
        #: The table, and those around a branch, innermost first.
        self._tables = [definition, *sorted(around, key=lambda table: -len(table.name))]

    def names_saga(self, asked: Iterable[str]) -> bool:
        """Return True when no other saga has all these values."""
        return self._of_all(asked) is _Owner.THIS_SAGA

    def _of_all(self, asked: Iterable[str]) -> _Owner:
        owners = {self._of(each) for each in asked}
        if {_Owner.PARENT, _Owner.ITEM} <= owners:
            return _Owner.THIS_SAGA
        return max(owners, default=_Owner.ANY_SAGA)

    def _of(self, reference: str) -> _Owner:
        """Return who has a value.

        The saga's id, its key, a UUID of its data, and the reply to a step that did something for it are its own. What
        was only read is as unique as what it was asked by, and what a PUT replies as the address that it puts to.
        """
        root, *below = parts(reference)
        if root == SAGA:
            return _Owner.THIS_SAGA
        lists = 0  # the each() between the value and the table
        for table in self._tables:
            is_of_items = isinstance(table, BranchTable) and table.of_items
            step = next((each for each in table.steps if each.name == root and below), None)
            if step is not None:
                return _within(self._of_reply(step), lists)
            if is_of_items and root in (ITEM, INDEX):
                return _Owner.THIS_SAGA if _is_uuid(table, reference) else _Owner.ITEM
            lists += is_of_items
        return _within(_Owner.THIS_SAGA if _is_uuid(self._tables[-1], reference) else _Owner.ANY_SAGA, lists)

    def _of_reply(self, step: Step) -> _Owner:
        if step.call is not None and step.kind is Kind.READ:
            return self._of_all(step.call.required_references)
        if step.call is not None and step.call.method == "PUT":
            return self._of_all(_address(step.call))
        return _Owner.THIS_SAGA if step.starts is not None or step.kind in EFFECTFUL else _Owner.ANY_SAGA


def _within(owner: _Owner, lists: int) -> _Owner:
    """Return who has a value of a saga in the items of its lists; no value names the items of two lists."""
    if owner is not _Owner.THIS_SAGA or lists == 0:
        return owner
    return _Owner.PARENT if lists == 1 else _Owner.ANY_SAGA


def _is_uuid(table: Saga, reference: str) -> bool:
    root, *below = parts(reference)
    field = table.data.get(root)
    for name in below:
        field = (field.items or {}).get(name) if field and field.kind is FieldKind.OBJECT else None
    return field is not None and field.kind is FieldKind.UUID


def _listed(asked: Iterable[str]) -> str:
    return ", ".join(sorted(set(asked))) or "nothing of the saga"


def _found(step: Step, what: str, call: Call) -> Flaw:
    asked = f"{what} of {step.name} asks by {_listed(call.references)}"
    why = f"the {asked}, and its participant keeps no keys: it may find what another saga has done"
    path = (
        f"Another saga has done {step.name}.",
        f"The call of {step.name} is sent once; it is lost, and no answer comes.",
        f"The {asked}, and finds what the other saga has done. Ask by saga.id, or by an id of this saga alone.",
    )
    return Flaw(SHARED_PROBE, step.name, why, path)


def _taken_back(step: Step, what: str, verb: str, asked: Iterable[str]) -> Flaw:
    named = f"{what} of {step.name} {verb} by {_listed(asked)}"
    why = f"the {named}, and its participant keeps no barrier: the undo may take back what another saga has done"
    end = "Name it by saga.id, or by an id of this saga alone."
    path = (
        f"{step.name} is done, and another saga does {step.name} with the same values.",
        f"The {named}, so its participant cannot tell the two apart.",
        f"The saga goes back, and the undo of {step.name} takes back what the other saga has done. {end}",
    )
    return Flaw(SHARED_UNDO, step.name, why, path)
