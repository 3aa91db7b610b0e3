"""Send the next call of a saga, or send a probe when an earlier attempt is in doubt."""

from dataclasses import dataclass, replace

from app.calls.client import Request, Sender
from app.calls.outcome import NOTHING, Reply, explained, outcome_of
from app.config import Config
from app.store.instance import Instance
from app.telemetry import Telemetry
from app.traces import Traces
from machines.call import Call, FillError
from machines.progress import Outcome

_TO_EXPLAIN = (Outcome.UNKNOWN, Outcome.NOT_SENT)


@dataclass(frozen=True, kw_only=True)
class Calls:
    """The calls to participants, with their telemetry and traces."""

    config: Config
    sender: Sender
    telemetry: Telemetry
    traces: Traces

    def make(self, saga: Instance) -> tuple[Reply, Outcome]:
        """Send the call and return its reply and outcome. If an attempt is in doubt, send the step's probe first."""
        at, probe = saga.at, saga.probe
        assert at.call is not None
        asked: tuple[Reply, Outcome] | None = None
        if probe:
            asked = reply, outcome = self._send(saga, probe)
            if outcome is Outcome.SUCCEEDED:
                return asked
            if saga.attempt >= at.retry.attempts:  # the last round; only a success of the probe settles it
                if outcome is Outcome.NOT_SENT or reply.asks_to_wait:
                    return asked
                return replace(reply, says=f"still unknown: {reply.reason}", status=None), Outcome.UNKNOWN
        reply, outcome = self._send(saga, at.call)
        if asked and asked[1] is Outcome.UNKNOWN and not reply.sent and outcome is Outcome.NOT_SENT:
            # The probe found the participant failing and so opened its circuit breaker: count this as an attempt.
            # Otherwise each probe would open the breaker before the call, and no attempt would ever count.
            return asked
        if outcome is Outcome.REFUSED and saga.in_doubt and at.doubts_refusals:
            return self._doubted(saga, reply, probe)
        return reply, outcome

    def longest_s(self, saga: Instance) -> float:
        """Return the longest duration of `make`, in seconds, with a probe before the call and one after a refusal."""
        at = saga.at
        if at.step is None:
            return 0.0
        if saga.probe is None:
            return at.step.timeout_s
        return at.step.timeout_s * (2 + at.doubts_refusals)

    def _doubted(self, saga: Instance, refused: Reply, probe: Call | None) -> tuple[Reply, Outcome]:
        """Return the outcome of a refusal after an attempt in doubt: as the probe says, or refused without a probe."""
        says = f"{refused.reason}, after an attempt that may have worked"
        if probe is None:
            return replace(refused, says=says), Outcome.REFUSED
        reply, outcome = self._send(saga, probe)
        if outcome is Outcome.SUCCEEDED:
            return reply, outcome
        says = f"{says}; its probe: {reply.reason}"
        if outcome is Outcome.REFUSED:
            return replace(refused, says=says), outcome
        return replace(reply, says=says), outcome

    def _send(self, saga: Instance, call: Call) -> tuple[Reply, Outcome]:
        at = saga.at
        assert at.step is not None
        with self.traces.attempt(saga, call) as attempt:
            called, saga.called = saga.called, True  # set before sending: an exception leaves open whether it was sent
            try:
                reply = self.sender.send(self._request(saga, call, attempt.traceparent))
            except FillError as error:
                reply = Reply(error=str(error), sent=False, impossible=True)
            saga.called = called or reply.sent
            lacking = NOTHING
            if not (at.undoes or reply.body is None):
                lacking = saga.definition.lacking(at.step.name, reply.body)
            outcome = outcome_of(reply, lacking)
            if outcome in _TO_EXPLAIN:
                reply = explained(reply, lacking, call.participant)
            attempt.set_outcome(reply, outcome)
        self.telemetry.called(saga, call, reply)
        return reply, outcome

    def _request(self, saga: Instance, call: Call, traceparent: str) -> Request:
        at = saga.at
        assert at.step is not None
        saga_id = saga.id_text
        headers = {
            "Idempotency-Key": f"{saga_id}/{at.step.name}/{at.direction}",
            "Saga-Id": saga_id,
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
