"""What a saga waits for, in words: a signal, an answer, the end of a pause, or the next attempt of a call."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.calls.breakers import open_reason
from app.calls.pauses import pause_reason
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


def wait_of(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow] = (), children: Sequence[Row[Any]] = ()
) -> Wait | None:
    """Return what the saga waits for; None: a process runs it, or it has ended, is stuck or has not started.

    journal: as `shown` returns it; its last row has the reason of a back-off. Without rows the reason is left out.
    children: the sagas that the steps of the saga have started. Without them a wait for branches has no counts.
    """
    at = definition.states[saga.state]
    if polls := polls_of(definition, saga):
        return Wait(subject=str(at.waits), until=polls.until, backs_off=False, polls=polls)
    if is_backing_off(saga):
        subject = participant_of(at) or saga.state
        reason = journal[-1].reason if journal else None
        known = {open_reason(subject): "breaker open", pause_reason(subject): "paused"}
        why = known.get(reason or "", brief(reason or ""))
        return Wait(subject=f"{subject} ({why})" if why else subject, until=saga.due_at, backs_off=True)
    if at.waits and saga.status == Status.WAITING:
        subject = f"{at.waits}{_progress(definition, saga, children)}"
        return Wait(subject=subject, until=saga.due_at if saga.owner is None else None, backs_off=False)
    return None


def _progress(definition: Saga, saga: SagaRow, children: Sequence[Row[Any]]) -> str:
    """Return how many branches of the saga's present step are done and stuck: `: 2 of 3 done, 1 stuck`."""
    step = definition.states[saga.state].step
    if step is None or step.group is None or not children:
        return ""
    of_step = [child for child in children if child.parent_step == step.name]
    items = saga.data.get(step.group.over) if step.group.over else None
    count = len(items) if isinstance(items, list) else len(of_step)
    done, stuck = (sum(child.status == status for child in of_step) for status in (Status.COMPLETED, Status.STUCK))
    return f": {done} of {count} done" + (f", {stuck} stuck" if stuck else "")


def sentence(wait: Wait, left_s: float) -> str:
    """Return the wait of a saga that backs off. left_s: seconds until the next attempt; below 0 when it is due."""
    return f"waiting for {wait.subject}, next try {f'in {duration(left_s)}' if left_s > 0 else 'now'}"


def sentences(registry: Registry, rows: Sequence[SagaRow | Row[Any]]) -> dict[UUID, str]:
    """Return the wait of each saga of a page that backs off, by id. The other sagas of the page cost no query."""
    ids = [row.id for row in rows if is_backing_off(row)]
    if not ids:
        return {}
    found, journals, now = queries.sagas(ids), queries.journals(ids), queries.now()
    waits: dict[UUID, str] = {}
    for saga_id, row in found.items():
        saga, journal = shown(registry, row, journals[saga_id])
        definition = table_of(registry, saga, journal)
        wait = wait_of(definition, saga, journal) if definition else None
        if wait is not None and wait.backs_off and wait.until is not None:
            waits[saga_id] = sentence(wait, round((wait.until - now).total_seconds()))
    return waits
