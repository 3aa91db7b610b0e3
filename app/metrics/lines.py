"""One line of the log for each move, and the three moments that operators look for by name."""

import logging
from functools import cached_property
from typing import Any

import structlog

from app.metrics.row import Row, outcome
from app.store.instance import Instance, Move
from machines.rows import Phase, Trigger

STARTED, FAILED, COMPENSATES = "Saga démarrée", "Étape échouée", "Compensation déclenchée"
_FAILED = frozenset({Trigger.REFUSED, Trigger.EXHAUSTED, Trigger.EXPIRE, Trigger.QUARANTINE})
_NOTABLE = frozenset({Trigger.CANCEL, Trigger.RETRY, Trigger.DEFER})


def told_as(row: Row) -> tuple[int, str]:
    """Give the level and the event of a move along this row."""
    if row.source is None:
        return logging.INFO, STARTED
    if row.trigger in _FAILED:
        return logging.ERROR, FAILED
    if row.dest.phase is Phase.UNDOING and row.source.phase is not Phase.UNDOING:
        return logging.WARNING, COMPENSATES
    return logging.WARNING if row.trigger in _NOTABLE else logging.INFO, "saga.moved"


class Lines:
    """What happened to a saga, for who reads along. Below the level of the log it costs next to nothing."""

    @cached_property
    def _log(self) -> Any:
        """Bound once, when the first line is told: to do so for each takes as long as to write it."""
        return structlog.get_logger("saga").bind()

    def moved(self, saga: Instance, move: Move, row: Row, level: int, event: str) -> None:
        became = outcome(move)
        self._log.log(
            level,
            event,
            saga_id=saga.id,
            trace_id=saga.id.hex,  # see traceparent in app.engine.calls
            type=row.saga,
            source=move.source,
            trigger=move.trigger,
            dest=move.dest,
            step=row.step or None,
            attempt=move.attempt,
            outcome=became and became.value,
            duration_ms=move.duration_ms,
            reason=move.reason,
        )

    def created(self, saga: Instance) -> None:
        self._about(saga, logging.INFO, "saga.created")

    def started(self, saga: Instance) -> None:
        """Tell of a saga that was created before and begins only now."""
        self._about(saga, logging.INFO, STARTED)

    def claimed(self, saga: Instance) -> None:
        self._about(saga, logging.INFO, "saga.claimed")

    def fenced(self, saga: Instance) -> None:
        self._about(saga, logging.WARNING, "saga.fenced")

    def _about(self, saga: Instance, level: int, event: str) -> None:
        self._log.log(
            level,
            event,
            saga_id=saga.id,
            trace_id=saga.id.hex,
            type=saga.definition.name,
            step=saga.at.step.name if saga.at.step else None,
            state=saga.state,
            epoch=saga.epoch,
        )
