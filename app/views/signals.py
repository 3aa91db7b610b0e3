"""Checks a signal against the table of its saga: the step that waits for the signal, and the body of the signal."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from app.errors import InvalidError, NotFoundError, OtherReleaseError
from app.store.arrivals import Signal
from app.store.audit import Entry
from app.store.models import SagaRow
from app.views.saga_data import signal_schema
from app.views.validation import load
from machines.registry import Registry, UnknownSagaError
from machines.saga import Saga
from machines.signals import step_waiting_for, tables_below, waits_of
from machines.step import Step


def signal_step(registry: Registry, saga: SagaRow | Row[Any], name: str) -> tuple[Saga, Step]:
    """Return the saga's table, and its step that waits for the signal.

    Raise OtherReleaseError when this release does not have the table, and NotFoundError when no step waits for it.
    """
    try:
        definition = registry.of(saga)
    except UnknownSagaError as error:
        raise OtherReleaseError(f"{error}, so no signal can be checked; send it again", saga_id=str(saga.id)) from None
    step = step_waiting_for(definition, name)
    if step is None:
        known = ", ".join(str(each.waits.signal) for each in waits_of(definition) if each.waits)
        below = ", ".join(each.name for each in tables_below(registry, definition) if step_waiting_for(each, name))
        hint = f"a saga that it starts waits for it: send it to its child {below}"
        refusal = hint if below else f"it waits for {known or 'no signal at all'}"
        raise NotFoundError(f"{definition} waits for no signal {name}; {refusal}")
    return definition, step


def signal_entry(saga: SagaRow, sent: Signal) -> Entry:
    """Return the audit row of a signal that a person sends."""
    before = {"state": saga.state, "status": saga.status, "version": saga.version}
    return Entry(
        actor=sent.sender, action="saga.signal", saga_id=saga.id, target=saga.definition, reason=f"signal {sent.name}",
        before=before, after={"signal": sent.name, "body": sent.body},
    )  # fmt: skip


def signal_body(definition: Saga, step: Step, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked body of the signal that the step waits for. Raise InvalidError for an illegal body."""
    body = load(signal_schema(definition, step.name), given)
    if lacking := definition.lacking(step.name, body):
        raise InvalidError(*((f"/{name.replace('.', '/')}", reason or "Missing.") for name, reason in lacking.items()))
    return body
