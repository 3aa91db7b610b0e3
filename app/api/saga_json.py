"""A saga as JSON in the words of 002: short, as a line of a list, after a move, and whole."""

from collections.abc import Sequence

from app.api.views import StepView, completed_steps, outcome, remaining, retries, steps_of
from app.store.instance import FINISHED
from app.store.loading import table_of
from app.store.models import JournalRow, SagaRow
from machines.registry import Registry
from machines.statuses import SAGA_STATUSES


def _views(registry: Registry, saga: SagaRow, rows: Sequence[JournalRow]) -> list[StepView]:
    definition = table_of(registry, saga, rows)
    return steps_of(definition, saga, rows) if definition else []


def short(saga: SagaRow) -> dict[str, object]:
    return {
        "id": str(saga.id),
        "type": saga.definition,
        "version": saga.definition_version,
        "status": SAGA_STATUSES[saga.status],
        "state": saga.state,
        "created_at": _moment(saga.created_at),
        "updated_at": _moment(saga.updated_at),
        "error_message": saga.error,
    }


def executed(registry: Registry, saga: SagaRow, rows: Sequence[JournalRow]) -> dict[str, object]:
    """Return a saga that has been moved, with its steps."""
    return short(saga) | {"completed_at": _moment(_ended_at(saga)), "steps": _steps(registry, saga, rows)}


def line(registry: Registry, saga: SagaRow, rows: Sequence[JournalRow]) -> dict[str, object]:
    """Return a saga as a list shows it; its journal needs no replies."""
    definition = table_of(registry, saga, rows)
    steps, completed = (len(definition.steps), completed_steps(definition, saga, rows)) if definition else (0, 0)
    return short(saga) | {"steps_count": steps, "completed_steps": completed}


def whole(registry: Registry, saga: SagaRow, rows: Sequence[JournalRow]) -> dict[str, object]:
    views = _views(registry, saga, rows)
    retry_count, max_retries = retries(table_of(registry, saga, rows), rows)
    return short(saga) | {
        "data": saga.data,
        "started_by": saga.started_by,
        "completed_at": _moment(_ended_at(saga)),
        "retry_count": retry_count,
        "max_retries": max_retries,
        "steps": _steps(registry, saga, rows),
        "remaining_steps": remaining(views) if saga.status in ("pending", "running") else [],
        "journal": [entry(row) for row in rows],
    }


def _steps(registry: Registry, saga: SagaRow, rows: Sequence[JournalRow]) -> list[dict[str, object]]:
    return [
        {
            "id": f"{saga.id}/{view.step.name}",
            "type": view.step.name,
            "kind": view.step.kind,
            "status": view.status,
            "step_order": view.order,
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
        for view in _views(registry, saga, rows)
    ]


def entry(row: JournalRow) -> dict[str, object]:
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


def _ended_at(saga: SagaRow) -> object:
    return saga.updated_at if saga.status in FINISHED else None


def _moment(at: object) -> str | None:
    return at.isoformat() if hasattr(at, "isoformat") else None
