"""The participants as receivers of the calls that tables send after the end of a saga (`at_end=`).

Such a call has the settings and the limits of its participant, and its replies mean what the replies to other calls
mean. Its idempotency key is the same at each attempt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import Row

from app.calls.request import Request, Sender
from app.config import Config
from app.events.deliverer import Failure
from app.store.data_keys import DataKeys, KeyLostError
from app.store.deliveries import end_receiver
from app.traces import Attempt, Traces
from machines.call import Call
from machines.history import replies
from machines.outcomes import Outcome
from machines.references import FillError, call_headers, end_name, roots_of
from machines.registry import Registry, UnknownSagaError
from machines.replies import NOTHING, explained, outcome_of
from machines.saga import Saga
from machines.transitions import Direction

#: Number of attempts; the last one is about 30 hours after the first.
ATTEMPTS = 12
#: Longest duration of one attempt, in seconds: as long as that of a step by default. A participant may have less.
TIMEOUT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class EndCallReceiver:
    """One participant. name: see `end_receiver`."""

    name: str
    config: Config
    sender: Sender
    traces: Traces
    definitions: Registry
    keys: DataKeys | None = None
    attempts: int = ATTEMPTS
    timeout_s: float = TIMEOUT_S

    def attempt(self, delivery: Row[Any], move: Row[Any], journal: Sequence[Row[Any]]) -> Failure | None:
        """Send the call once, see `Receiver`."""
        try:
            definition = self.definitions.get(move.definition, move.definition_version)
        except UnknownSagaError as error:  # another process may have the table
            return Failure(str(error))
        end = definition.states.get(move.dest)
        if end is None or end.at_end is None:
            return Failure(f"{definition} has no call in at_end= for {move.dest} any more", dead=True)
        name = end_name(delivery.event)
        try:
            opened = self._opened(move, replies(journal))
        except KeyLostError as error:
            return Failure(error.detail, counts=False)
        with self.traces.attempt_at_end(delivery.saga_id, definition.name, name, end.at_end, delivery.attempts) as made:
            return self._send(definition, end.at_end, made, name, *opened)

    def _opened(self, move: Row[Any], results: dict[str, Any]) -> tuple[Row[Any], dict[str, Any]]:
        """Return the move and the replies with their sealed values opened."""
        if self.keys is None:
            return move, results
        data = self.keys.opened(move.data, move.saga_id)
        opened = SimpleNamespace(**{**move._mapping, "data": data})  # noqa: SLF001  documented by SQLAlchemy
        return cast("Row[Any]", opened), self.keys.opened(results, move.saga_id)

    def _send(  # noqa: PLR0917
        self, definition: Saga, call: Call, made: Attempt, name: str, move: Row[Any], results: dict[str, Any]
    ) -> Failure | None:
        try:
            request = self._request(call, name, made.traceparent, move, results)
        except FillError as error:
            return Failure(definition.without_secrets(str(error), move.data, results), dead=True)
        reply = self.sender.send(request)
        outcome = outcome_of(reply, NOTHING, call)
        made.set_outcome(reply, outcome)
        if outcome is Outcome.SUCCEEDED:
            return None
        reason = definition.without_secrets(explained(reply, NOTHING, call).reason, move.data, results)
        limited = reply.withheld and reply.retry_after_s is not None
        return Failure(reason, dead=outcome is Outcome.REFUSED, asked_s=reply.retry_after_s or 0.0, counts=not limited)

    def _request(self, call: Call, name: str, traceparent: str, move: Row[Any], results: dict[str, Any]) -> Request:
        saga_id = str(move.saga_id)
        headers = call_headers(saga_id, name, Direction.DO) | {"traceparent": traceparent}
        known = (move.data, results, roots_of(saga_id, name, Direction.DO))
        return Request(
            participant=call.participant,
            method=call.method,
            url=self.config.participant_url(call.participant) + call.filled_path(*known),
            headers=headers | call.filled_headers(*known),
            body=call.filled_body(*known),
            form=call.form,
            timeout_s=self.timeout_s,
        )


def end_call_receivers(
    definitions: Registry, config: Config, sender: Sender, traces: Traces, keys: DataKeys | None = None
) -> Iterator[EndCallReceiver]:
    """Yield a receiver for each participant that a table calls at an end."""
    for participant in sorted({call.participant for table in definitions for call in table.at_end.values()}):
        yield EndCallReceiver(
            name=end_receiver(participant),
            config=config,
            sender=sender,
            traces=traces,
            definitions=definitions,
            keys=keys,
        )
