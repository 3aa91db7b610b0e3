"""Bulk jobs as people start and see them: which sagas an action fits, the start of a job, and its progress in words."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.services import Services
from app.store.attention import StateCount
from app.store.audit import Entry
from app.store.bulk import DONE, GONE, PAUSED, REFUSED, RUNNING, STOPPED
from app.store.lists import SagaFilter, StateKey
from app.store.saga_ids import short_id
from app.views.available_actions import explained
from app.views.formatting import cause
from app.views.states import attention_of
from app.views.titles import participant_words, started_words, state_words_in, step_words_in
from machines.progress import trigger_of
from machines.registry import Registry, UnknownSagaError
from machines.statuses import Status

#: Actions on many sagas. `resolve` is missing, because a person must first do the work of each saga by hand.
BULK_ACTIONS = ("retry", "compensate")
#: Largest number of sagas a second that a job may move.
LARGEST_PACE = 200.0
#: Filter words of a page that leave out no saga that a job could move.
_SAYS_NOTHING = (("ticked", ["true"]), ("unknown", ["False"]), ("case", ["open"]))
#: Action on a job → its new status.
JOB_ACTIONS = {"pause": PAUSED, "resume": RUNNING, "stop": STOPPED}


@dataclass(kw_only=True)
class Fit:
    """The sagas of a filter that an action fits."""

    sagas: int = 0
    states: list[StateKey] = field(default_factory=list)
    #: What the action does, in words, and whether that is safe → the number of sagas for which this holds.
    kinds: Counter[tuple[str, bool]] = field(default_factory=Counter)

    @property
    def is_safe(self) -> bool:
        """True when the action is correct for each of the sagas, whether their calls so far took effect or not."""
        return all(safe for _, safe in self.kinds)


def fits(registry: Registry, rows: Iterable[StateCount]) -> dict[str, Fit]:
    """Return the sagas that each action fits, by action. rows: of `Attention.by_state`."""
    found = {action: Fit() for action in BULK_ACTIONS}
    for row in rows:
        try:
            table = registry.get(row.definition, row.definition_version)
        except UnknownSagaError:
            continue
        if row.unknown or row.state not in table.states:
            continue
        for action, fit in found.items():
            if (trigger := trigger_of(action, table, row.state)) is not None:
                _, description, safe = explained(table.states[row.state], trigger)
                fit.kinds[description, safe] += row.sagas
                fit.sagas += row.sagas
                fit.states.append((row.definition, row.definition_version, row.state))
    return found


def start_job(
    parts: Services, wanted: SagaFilter, words: Mapping[str, Any], *, action: str, reason: str, pace: float,
    actor: str, until: datetime | None = None,
) -> UUID:  # fmt: skip
    """Start a job on the sagas of a filter that the action fits. Return its id.

    words: the filter in words, for the job's page and the audit trail. until: sagas that entered their state later are
    left out; None: now. Raise ConflictError when the action fits no saga.
    """
    attention = attention_of(parts.registry)
    fit = fits(parts.registry, attention.by_state(wanted))[action]
    chosen = attention.chosen(replace(wanted, state_keys=tuple(fit.states)), until or attention.now)
    entry = Entry(
        actor=actor, action="bulk.start", reason=reason, after={"action": action, "filter": dict(words), "pace": pace}
    )
    values = {"action": action, "reason": reason, "wanted": dict(words), "pace": pace}
    return parts.bulk_jobs.store.add(values, chosen, entry)


def change_job(parts: Services, job_id: UUID, action: str, actor: str) -> None:
    """Pause, resume or stop a job. Raise NotFoundError, or ConflictError when its status does not allow it."""
    entry = Entry(actor=actor, action=f"bulk.{action}", target=str(job_id))
    parts.bulk_jobs.store.set_status(job_id, JOB_ACTIONS[action], entry)


def progress(job: Row[Any], counts: Mapping[str, int]) -> str:
    """Return how far a job is, such as `Done: 470 completed, 11 stuck.`."""
    named = (
        (Status.COMPLETED, "completed"), (Status.COMPENSATED, "compensated"), (Status.STUCK, "stuck"),
        (REFUSED, "refused"), ("moving", "under way"), (GONE, "deleted since"),
    )  # fmt: skip
    parts = [f"{counts[word]} {words}" for word, words in named if counts.get(word)]
    left = counts.get("open", 0)
    if left:
        parts.append(f"{left} {'not touched' if job.status == STOPPED else 'to come'}")
    state = {RUNNING: "Running", PAUSED: "Paused", STOPPED: "Stopped", DONE: "Done"}[job.status]
    return f"{state}: {', '.join(parts)}."


def filter_words(registry: Registry, wanted: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the filter of a job as people read it: its words, each with its values. wanted: of the job."""
    several = {name: value if isinstance(value, list) else [value] for name, value in wanted.items()}
    given = {name: [str(each) for each in values] for name, values in several.items()}
    table = registry.newest(given["type"][0]) if given.get("type", [""])[0] in registry.names_with_branches else None
    readers: dict[str, Callable[[str], str]] = {
        "type": started_words, "state": partial(state_words_in, table), "step": partial(step_words_in, table),
        "participant": participant_words, "waiting_for": participant_words, "error": cause,
        "cause": lambda text: cause(text.partition("|")[2]), "id": short_id, "job": short_id,
    }  # fmt: skip
    return [
        (name.replace("_", " "), ", ".join(readers.get(name, str)(each) for each in values))
        for name, values in sorted(given.items())
        if any(values) and (name, values) not in _SAYS_NOTHING
    ]


def job_json(job: Row[Any], counts: Mapping[str, int]) -> dict[str, object]:
    return {
        "id": str(job.id),
        "action": job.action,
        "reason": job.reason,
        "filter": job.wanted,
        "status": job.status,
        "sagas": job.sagas,
        "pace": job.pace,
        "counts": dict(counts),
        "created_at": job.created_at.isoformat(),
        "created_by": job.created_by,
        "finished_at": job.finished_at and job.finished_at.isoformat(),
    }


def job_whole_json(parts: Services, job_id: UUID, limit: int) -> dict[str, object]:
    """Return a job as JSON, with the first sagas that were refused or are stuck again. Raise NotFoundError."""
    store = parts.bulk_jobs.store
    notable = [
        {
            "saga_id": str(row.saga_id),
            "result": "stuck" if row.settled == Status.STUCK else REFUSED,
            "reason": parts.redact(cause(row.error) if row.settled == Status.STUCK else row.detail),
        }
        for row in store.notable(job_id, limit)
    ]
    return job_json(store.find(job_id), store.counts(job_id)) | {"notable": notable}
