"""One line of the log for each move, and the three moments that operators look for by name."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

import orjson
import structlog

from app.store.instance import Move, SagaSnapshot
from app.telemetry.counted_transition import Row, outcome
from machines.saga import Saga
from machines.transitions import FAILURES, Phase, Trigger

STARTED, FAILED, COMPENSATES = "Saga démarrée", "Étape échouée", "Compensation déclenchée"
#: Instead of STARTED for one that begins only when somebody executes it.
CREATED = "saga.created"
#: Larger data is left out of the log: one line of a common collector holds 16 kB, and the rest is cut off.
LARGEST_DATA_BYTES = 8 * 1024
_NOTABLE = frozenset({Trigger.CANCEL, Trigger.RETRY, Trigger.DEFER})


def told_as(row: Row) -> tuple[int, str]:
    """Give the level and the event of a move along this row."""
    if row.source is None:
        return logging.INFO, STARTED
    if row.trigger in FAILURES:
        return logging.ERROR, FAILED
    if row.dest.phase is Phase.UNDOING and row.source.phase is not Phase.UNDOING:
        return logging.WARNING, COMPENSATES
    return logging.WARNING if row.trigger in _NOTABLE else logging.INFO, "saga.moved"


class Sight(NamedTuple):
    """Where a saga stood. at: when, in seconds since 1970."""

    at: float
    definition: Saga
    standing: SagaSnapshot
    epoch: int


class Lines:
    """What happened to a saga, for who reads along. Below the level of the log it costs next to nothing."""

    @cached_property
    def _log(self) -> Any:
        """Bound once, when the first line is told: to do so for each takes as long as to write it."""
        return structlog.get_logger("saga").bind()

    def moved(  # noqa: PLR0917  what is known of a move
        self, seen: Sight, move: Move, row: Row, level: int, event: str, data: Mapping[str, Any] | None
    ) -> None:
        became = outcome(move)
        self._log.log(
            level,
            event,
            timestamp=datetime.fromtimestamp(seen.at, UTC),
            saga_id=seen.standing.id,
            trace_id=seen.standing.id.hex,  # see traceparent in app.engine.calls
            type=row.saga,
            source=move.source,
            trigger=move.trigger,
            dest=move.dest,
            step=row.step or None,
            attempt=move.attempt,
            outcome=became and became.value,
            duration_ms=move.duration_ms,
            reason=move.reason,
            **(_shown(data) if event == STARTED else {}),
        )

    def started(self, seen: Sight, data: Mapping[str, Any] | None) -> None:
        """Write the line of a saga that was created before and begins only now."""
        self._about(seen, logging.INFO, STARTED, **_shown(data))

    def claimed(self, seen: Sight) -> None:
        self._about(seen, logging.INFO, "saga.claimed")

    def fenced(self, seen: Sight) -> None:
        self._about(seen, logging.WARNING, "saga.fenced")

    def _about(self, seen: Sight, level: int, event: str, **more: Any) -> None:
        _at, definition, standing, _epoch = seen
        step = definition.states[standing.state].step
        self._log.log(
            level,
            event,
            timestamp=datetime.fromtimestamp(seen.at, UTC),
            saga_id=standing.id,
            trace_id=standing.id.hex,
            type=definition.name,
            step=step.name if step else None,
            state=standing.state,
            epoch=seen.epoch,
            **more,
        )


def _shown(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give what a saga is started with, as its line shows it."""
    size = len(orjson.dumps(data))
    return {"data": data if size <= LARGEST_DATA_BYTES else f"{size} bytes; GET /api/v1/sagas/{{id}} shows it"}
