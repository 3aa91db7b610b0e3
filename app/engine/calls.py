"""Making the call that a saga stands before, or asking what became of it."""

from dataclasses import dataclass, replace
from typing import Protocol

from app.config import Config
from app.metrics import Telemetry
from app.participants.client import Request
from app.participants.outcome import Outcome, Reply, outcome_of
from app.store.instance import Instance
from app.traces import Traces
from machines.call import Call, FillError
from machines.rows import Phase


class Sender(Protocol):
    """Anything that sends one request once."""

    def send(self, request: Request) -> Reply: ...


@dataclass(frozen=True, kw_only=True)
class Calls:
    config: Config
    sender: Sender
    telemetry: Telemetry
    traces: Traces

    def make(self, saga: Instance) -> tuple[Reply, Outcome]:
        """Send the call; where an attempt of it is unaccounted for, ask first what became of that, if one can."""
        at = saga.at
        assert at.call is not None
        if probe := _probe(saga):
            reply, outcome = self._send(saga, probe)
            if outcome is Outcome.SUCCEEDED:
                return reply, outcome
            if saga.attempt >= at.retry.attempts:  # the last word, which proves nothing unless it says yes
                unknown = Outcome.UNKNOWN if reply.sent else Outcome.NOT_SENT
                return replace(reply, error=f"still unknown: {reply.reason}", status=None), unknown
        return self._send(saga, at.call)

    def _send(self, saga: Instance, call: Call) -> tuple[Reply, Outcome]:
        at = saga.at
        assert at.step is not None
        with self.traces.attempt(saga, call) as attempt:
            try:
                reply = self.sender.send(self._request(saga, call, attempt.traceparent))
            except FillError as error:
                reply = Reply(error=str(error), sent=False, impossible=True)
            needed = saga.definition.needed_fields[at.step.name]
            outcome = outcome_of(reply, frozenset() if at.undoes else needed)
            attempt.became(reply, outcome)
        self.telemetry.called(saga, call, reply, outcome)
        return reply, outcome

    def _request(self, saga: Instance, call: Call, traceparent: str) -> Request:
        at = saga.at
        assert at.step is not None
        headers = {
            "Idempotency-Key": f"{saga.id}/{at.step.name}/{at.direction}",
            "Saga-Id": str(saga.id),
            "Saga-Step": at.step.name,
            "Saga-Epoch": str(saga.epoch),
            "traceparent": traceparent,
        }
        return Request(
            participant=call.participant,
            method=call.method,
            url=self.config.participant_url(call.participant) + call.filled_path(saga.data, saga.results),
            headers=headers,
            body=call.filled_body(saga.data, saga.results) if call.method != "GET" else None,
            timeout_s=at.step.timeout_s,
        )


def _probe(saga: Instance) -> Call | None:
    """Give the call that asks what became of an attempt, where there was one and the participant can be asked."""
    at = saga.at
    return at.step.probe if saga.unsure and at.step and at.phase is Phase.FORWARD else None
