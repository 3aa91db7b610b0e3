"""Decides whether a signal is admitted: the saga can wait for the signal, and no signal of that name has arrived."""

from typing import Any

from sqlalchemy import Row

from app.errors import ConflictError, KeyReusedError, NotFoundError
from app.store.arrivals import Signal
from machines.registry import Registry
from machines.signals import can_still_wait, step_waiting_for
from machines.statuses import FINISHED, Status


def admit(registry: Registry, signal: Signal, saga: Row[Any] | None, known: Row[Any] | None) -> None:
    """Raise an error when the signal is refused.

    saga: the saga's row, which is locked, if the saga exists. known: the signal of this name that arrived earlier, if
    any.
    """
    if saga is None:
        raise NotFoundError("there is no such saga")
    if known is not None:
        _same(known, signal)
        return
    definition = registry.of(saga)
    step = step_waiting_for(definition, signal.name)
    if step is None:
        raise NotFoundError(f"{definition} waits for no signal {signal.name}")
    if not can_still_wait(definition, saga.state, step):
        raise ConflictError(_too_late(saga, signal.name), saga_id=str(saga.id), state=saga.state)


def _same(known: Row[Any], signal: Signal) -> None:
    """Raise an error unless `known`, which arrived earlier, is the same signal."""
    if signal.key is not None and known.key == signal.key and known.sender == signal.sender:
        if known.body != signal.body:
            raise KeyReusedError("the signal of this key had another body; use a new key")
        return
    if known.key != signal.key or known.sender != signal.sender or known.body != signal.body:
        first = f"{known.sender} has sent the signal {signal.name} before, at {known.at:%Y-%m-%d %H:%M:%S} UTC"
        raise ConflictError(f"{first}; the first one counts", saga_id=str(known.saga_id))


def _too_late(saga: Row[Any], name: str) -> str:
    if saga.status in FINISHED:
        return f"it has ended in {saga.state}, so nobody waits for the signal {name}"
    if saga.status == Status.COMPENSATING:
        return f"it is being compensated, so nobody waits for the signal {name}"
    return f"it no longer waits for the signal {name}; it is in {saga.state}"
