"""Checks a signal against the table of its saga: who may send it, and what its body must have."""

from collections.abc import Mapping
from typing import Any

from app.errors import InvalidError, NotFoundError
from app.store.arrivals import Signal
from app.store.audit import Entry
from app.store.models import SagaRow
from app.views.saga_data import signal_schema
from app.views.validation import load
from machines.saga import Saga
from machines.signals import step_waiting_for, waits_of
from machines.step import Step


def signal_step(definition: Saga, name: str) -> Step:
    """Return the step that waits for the signal. Raise NotFoundError when no step does."""
    step = step_waiting_for(definition, name)
    if step is None:
        known = ", ".join(str(each.waits.signal) for each in waits_of(definition) if each.waits)
        raise NotFoundError(f"{definition} waits for no signal {name}; it waits for {known or 'no signal at all'}")
    return step


def signal_entry(saga: SagaRow, sent: Signal) -> Entry:
    """Return the audit row of a signal that a person sends."""
    before = {"state": saga.state, "status": saga.status, "version": saga.version}
    return Entry(
        actor=sent.sender, action="saga.signal", saga_id=saga.id, target=saga.definition, reason=f"signal {sent.name}",
        before=before, after={"signal": sent.name, "body": sent.body},
    )  # fmt: skip


def signal_body(definition: Saga, step: Step, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked body of the signal that the step waits for. Raise InvalidError."""
    body = load(signal_schema(definition, step.name), given)
    if lacking := definition.lacking(step.name, body):
        raise InvalidError(*((f"/{name.replace('.', '/')}", reason or "Missing.") for name, reason in lacking.items()))
    return body
