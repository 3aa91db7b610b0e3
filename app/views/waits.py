"""What a saga waits for, in words: a signal, an answer, the end of a pause, or the next attempt of a call."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.calls.breakers import open_reason
from app.store import queries
from app.store.loading import table_of
from app.store.models import JournalRow, SagaRow
from app.views.formatting import brief, duration
from app.views.masking import shown
from app.views.polls import Polls, polls_of
from app.views.states import participant_of
from machines.registry import Registry
from machines.saga import Saga
from machines.send_now import backs_off
from machines.statuses import Status


@dataclass(frozen=True, kw_only=True)
class Wait:
    """The wait of one saga."""

    #: What is waited for: `signal agree, 1 d at most`, or `stock (breaker open)`.
    subject: str
    #: End of the wait, or time of the next attempt; None: a process holds the saga at the moment.
    until: datetime | None
    #: True: the saga backs off, and makes the next attempt of a call at `until`.
    backs_off: bool
    #: Polls of a saga that asks for an answer; None: it does not ask.
    polls: Polls | None = None


def is_backing_off(saga: SagaRow | Row[Any]) -> bool:
    """Return True when the saga waits before its next attempt."""
    return backs_off(saga.status, held=saga.owner is not None, tries=saga.attempt + saga.deferrals)


def wait_of(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow] = ()) -> Wait | None:
    """Return what the saga waits for; None: a process runs it, or it has ended, is stuck or has not started.

    journal: as `shown` returns it; its last row has the reason of a back-off. Without rows the reason is left out.
    """
    at = definition.states[saga.state]
    if polls := polls_of(definition, saga):
        return Wait(subject=str(at.waits), until=polls.until, backs_off=False, polls=polls)
    if is_backing_off(saga):
        subject = participant_of(at) or saga.state
        reason = journal[-1].reason if journal else None
        why = "breaker open" if reason == open_reason(subject) else brief(reason or "")
        return Wait(subject=f"{subject} ({why})" if why else subject, until=saga.due_at, backs_off=True)
    if at.waits and saga.status == Status.WAITING:
        return Wait(subject=str(at.waits), until=saga.due_at if saga.owner is None else None, backs_off=False)
    return None


def sentence(wait: Wait, left_s: float) -> str:
    """Return the wait of a saga that backs off. left_s: seconds until the next attempt; below 0 when it is due."""
    return f"waiting for {wait.subject}, next try {f'in {duration(left_s)}' if left_s > 0 else 'now'}"


def sentences(registry: Registry, rows: Sequence[SagaRow | Row[Any]], now: datetime) -> dict[UUID, str]:
    """Return the wait of each saga of a page that backs off, by id. The other sagas of the page cost no query."""
    ids = [row.id for row in rows if is_backing_off(row)]
    if not ids:
        return {}
    found, journals = queries.sagas(ids), queries.journals(ids)
    waits: dict[UUID, str] = {}
    for saga_id, row in found.items():
        saga, journal = shown(registry, row, journals[saga_id])
        definition = table_of(registry, saga, journal)
        wait = wait_of(definition, saga, journal) if definition else None
        if wait is not None and wait.backs_off and wait.until is not None:
            waits[saga_id] = sentence(wait, round((wait.until - now).total_seconds()))
    return waits
