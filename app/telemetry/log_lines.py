"""The log lines of sagas: one line for each move. Start, failure and compensation have their own event names."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

import orjson
import structlog

from app.store.instance import SagaSnapshot
from app.telemetry.counted_transition import CountedTransition, outcome
from machines.running import Move
from machines.saga import Saga
from machines.transitions import FAILURES, Phase, Trigger

STARTED, FAILED, COMPENSATES = "Saga démarrée", "Étape échouée", "Compensation déclenchée"
#: Event name for a saga that is created but waits for a client to execute it.
CREATED = "saga.created"
#: Largest data of a saga in a log line, in bytes as JSON. Common log collectors cut a line off after 16 kB.
LARGEST_DATA_BYTES = 8 * 1024
_NOTABLE = frozenset({Trigger.CANCEL, Trigger.RETRY, Trigger.DEFER})


def level_and_event(transition: CountedTransition) -> tuple[int, str]:
    """Return the log level and the event name of a transition."""
    if transition.source is None:
        return logging.INFO, STARTED
    if transition.trigger in FAILURES:
        # A refusal that the table provides for is no error. After one that it does not, the saga is stuck.
        provided = transition.trigger == Trigger.REFUSED and not transition.sticks
        return logging.INFO if provided else logging.ERROR, FAILED
    if transition.dest.phase is Phase.UNDOING and transition.source.phase is not Phase.UNDOING:
        return logging.WARNING, COMPENSATES
    return logging.WARNING if transition.trigger in _NOTABLE else logging.INFO, "saga.moved"


class CommittedSaga(NamedTuple):
    """The state of a saga at its last commit, for log lines."""

    #: Time of the log line, in seconds since 1970.
    at: float
    definition: Saga
    snapshot: SagaSnapshot
    epoch: int


class LogLines:
    """Writes the log lines of sagas. A line below the log's level costs almost nothing."""

    @cached_property
    def _log(self) -> Any:
        """The logger, bound once at the first line, because binding it takes as long as writing a line."""
        return structlog.get_logger("saga").bind()

    def moved(  # noqa: PLR0917  the facts of one move
        self,
        saga: CommittedSaga,
        move: Move,
        transition: CountedTransition,
        level: int,
        event: str,
        data: Mapping[str, Any] | None,
    ) -> None:
        result = outcome(move)
        self._log.log(
            level,
            event,
            timestamp=datetime.fromtimestamp(saga.at, UTC),
            saga_id=saga.snapshot.id,
            trace_id=saga.snapshot.id.hex,  # see traceparent in app.traces
            type=transition.saga,
            source=move.source,
            trigger=move.trigger,
            dest=move.dest,
            step=transition.step or None,
            attempt=move.attempt,
            outcome=result and result.value,
            duration_ms=move.duration_ms,
            reason=move.reason,
            **(_data_field(data) if event == STARTED else {}),
        )

    def started(self, saga: CommittedSaga, data: Mapping[str, Any] | None) -> None:
        """Write the line of a saga that was created earlier and starts now."""
        self._write(saga, logging.INFO, STARTED, **_data_field(data))

    def claimed(self, saga: CommittedSaga) -> None:
        self._write(saga, logging.INFO, "saga.claimed")

    def fenced(self, saga: CommittedSaga) -> None:
        self._write(saga, logging.WARNING, "saga.fenced")

    def _write(self, saga: CommittedSaga, level: int, event: str, **more: Any) -> None:
        _at, definition, snapshot, epoch = saga
        step = definition.states[snapshot.state].step
        self._log.log(
            level,
            event,
            timestamp=datetime.fromtimestamp(saga.at, UTC),
            saga_id=snapshot.id,
            trace_id=snapshot.id.hex,
            type=definition.name,
            step=step.name if step else None,
            state=snapshot.state,
            epoch=epoch,
            **more,
        )


def _data_field(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the field of a log line with a saga's data, or with their size when they are too large."""
    size = len(orjson.dumps(data))
    return {"data": data if size <= LARGEST_DATA_BYTES else f"{size} bytes; GET /api/v1/sagas/{{id}} shows it"}
