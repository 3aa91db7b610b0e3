"""A saga as JSON of the API, in four forms: short, as a line of a list, with its steps, and whole."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from app.services import services
from app.store.instance import SagaSnapshot
from app.store.loading import start_of, table_of
from app.store.models import JournalRow, SagaRow
from app.views.masking import shown
from app.views.polls import polls_of
from app.views.waits import ALONE, Family, wait_of
from machines.history import StepResult, completed_steps, outcome, retries, steps_of
from machines.registry import Registry
from machines.saga import Saga
from machines.statuses import FINISHED, SAGA_STATUSES, Status, StepStatus

#: Each status of the API, with the matching values of the column `status`.
SAGA_STATUS_WORDS = "; ".join(
    f"{theirs}: {' or '.join(ours for ours, other in SAGA_STATUSES.items() if other == theirs)}"
    for theirs in dict.fromkeys(SAGA_STATUSES.values())
)


def short_json(saga: SagaRow) -> dict[str, object]:
    """Return the saga without its steps."""
    return {
        "id": str(saga.id),
        "type": saga.definition,
        "version": saga.definition_version,
        "status": SAGA_STATUSES[saga.status],
        "state": saga.state,
        "start_at": _moment(start_of(saga)),
        "created_at": _moment(saga.created_at),
        "updated_at": _moment(saga.updated_at),
        "error_message": saga.error,
    }


def started_json(definition: Saga, saga: SagaSnapshot) -> dict[str, object]:
    """Return the saga as the answer to its start, from the state at its last commit."""
    return {
        "id": str(saga.id),
        "type": definition.name,
        "status": SAGA_STATUSES[saga.status],
        "state": saga.state,
        "stuck": saga.status == Status.STUCK,
        "start_at": _moment(saga.start_at),
        "error_message": saga.error,
    }


def json_with_steps(registry: Registry, saga: SagaRow, journal: Sequence[JournalRow]) -> dict[str, object]:
    """Return the saga with its steps, as the answer to a move."""
    saga, journal = shown(registry, saga, journal)
    steps = _steps(registry, saga, journal)
    return short_json(saga) | {"completed_at": _moment(_ended_at(saga)), "steps": _steps_json(saga, steps)}


def line_json(
    registry: Registry, saga: SagaRow, journal: Sequence[JournalRow], *, reads_parent: bool = True
) -> dict[str, object]:
    """Return the saga as a line of a list. The rows of `journal` need no replies.

    reads_parent: False when the reader may not read the saga's parent.

    A saga with secret fields shows no reason of a back-off, because its secrets may be in the replies.
    """
    definition = table_of(registry, saga, journal)
    steps, completed = (len(definition.steps), completed_steps(definition, saga, journal)) if definition else (0, 0)
    reasons = journal if registry.secrets_of(saga.definition) is None else ()
    parent = parent_json(saga) if reads_parent and saga.parent_id is not None else None
    line = short_json(saga) | {"steps_count": steps, "completed_steps": completed, "parent": parent}
    return line | _wait_json(definition, saga, reasons)


def whole_json(
    registry: Registry, saga: SagaRow, journal: Sequence[JournalRow], family: Family = ALONE
) -> dict[str, object]:
    """Return the saga with its data, steps and journal, and with its parent and its children."""
    saga, journal = shown(registry, saga, journal)
    steps = _steps(registry, saga, journal)
    definition = table_of(registry, saga, journal)
    retry_count, max_retries = retries(definition, journal)
    return short_json(saga) | {
        "data": saga.data,
        "started_by": saga.started_by,
        "erased_at": _moment(saga.erased_at),
        **_wait_json(definition, saga, journal, family),
        **_polls_json(definition, saga),
        "parent": parent_json(saga) if family.parent else None,
        "children": [child_json(child) for child in family.children],
        "stuck_below": [_stuck_json(each) for each in family.stuck],
        "completed_at": _moment(_ended_at(saga)),
        "retry_count": retry_count,
        "max_retries": max_retries,
        "steps": _steps_json(saga, steps),
        "remaining_steps": remaining(steps) if saga.status in (Status.PENDING, Status.RUNNING, Status.WAITING) else [],
        "journal": [move_json(row) for row in journal],
    }


def parent_json(saga: SagaRow) -> dict[str, object]:
    return {"id": str(saga.parent_id), "step": saga.parent_step, "number": saga.child_number}


def child_json(child: Row[Any]) -> dict[str, object]:
    """Return a saga that a step has started, as one line."""
    return {
        "id": str(child.id),
        "type": child.definition,
        "step": child.parent_step,
        "number": child.child_number,
        "status": SAGA_STATUSES[child.status],
        "state": child.state,
        "stuck": child.status == Status.STUCK,
    }


def _stuck_json(saga: Row[Any]) -> dict[str, object]:
    """Return a stuck saga below a saga, as one line."""
    return {"id": str(saga.id), "type": saga.definition, "state": saga.state}


def move_json(row: JournalRow) -> dict[str, object]:
    """Return one row of the journal as JSON. The row comes from `shown`, which hides secret values."""
    return {
        "seq": row.seq,
        "at": _moment(row.at),
        "source": row.source,
        "trigger": row.trigger,
        "dest": row.dest,
        "step": row.step,
        "direction": row.direction,
        "attempt": row.attempt,
        "outcome": outcome(row),
        "actor": row.actor,
        "reason": row.reason,
        "status_code": row.status_code,
        "reply": row.reply,
        "duration_ms": row.duration_ms,
    }


def _wait_json(
    definition: Saga | None, saga: SagaRow, journal: Sequence[JournalRow], family: Family = ALONE
) -> dict[str, object]:
    wait = wait_of(definition, saga, journal, family, services().pauses.names) if definition else None
    return {"waiting_for": wait.subject if wait else None, "waiting_until": _moment(wait.until if wait else None)}


def _polls_json(definition: Saga | None, saga: SagaRow) -> dict[str, object]:
    polls = polls_of(definition, saga) if definition else None
    return {"polls": polls.made if polls else None, "next_poll_at": _moment(polls.next_at if polls else None)}


def _steps(registry: Registry, saga: SagaRow, journal: Sequence[JournalRow]) -> list[StepResult]:
    """Return the steps; none when this release does not have the saga's table."""
    definition = table_of(registry, saga, journal)
    return steps_of(definition, saga, journal) if definition else []


def _steps_json(saga: SagaRow, steps: Sequence[StepResult]) -> list[dict[str, object]]:
    return [
        {
            "id": f"{saga.id}/{view.step.name}",
            "type": view.step.name,
            "kind": view.step.kind,
            "status": view.status,
            "step_order": view.position,
            "started_at": _moment(view.started_at),
            "completed_at": _moment(view.completed_at),
            "compensated_at": _moment(view.compensated_at),
            "input_data": view.input,
            "output_data": view.output,
            "error_message": view.error,
            "attempts": view.attempts,
            "outcome": view.outcome,
            "retry_count": view.retries,
        }
        for view in steps
    ]


def _ended_at(saga: SagaRow) -> object:
    return saga.updated_at if saga.status in FINISHED else None


def _moment(at: object) -> str | None:
    return at.isoformat() if hasattr(at, "isoformat") else None


def remaining(steps: Sequence[StepResult]) -> list[str]:
    """Return the names of the steps that are not done yet."""
    return [result.step.name for result in steps if result.status in (StepStatus.PENDING, StepStatus.IN_PROGRESS)]
