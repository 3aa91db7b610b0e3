"""Sends the calls of sagas over HTTP. `machines.attempts` decides which calls are sent, and what their replies mean."""

from dataclasses import dataclass
from functools import partial

from app.calls.addresses import below
from app.calls.client import Request, Sender
from app.config import Config
from app.engine.reply_urls import reply_url
from app.store.instance import Instance
from app.telemetry import Telemetry
from app.traces import Traces
from machines.attempts import Attempts, filled, understood
from machines.call import Call
from machines.outcomes import Outcome
from machines.references import FillError
from machines.replies import Reply
from machines.transitions import Direction


@dataclass(frozen=True, kw_only=True)
class Calls(Attempts):
    """The calls to participants, with their telemetry and traces."""

    config: Config
    sender: Sender
    telemetry: Telemetry
    traces: Traces

    def _send(self, saga: Instance, call: Call, direction: Direction | None = None) -> tuple[Reply, Outcome]:
        at = saga.current
        assert at.step is not None
        direction = direction or at.direction
        with self.traces.attempt(saga, call) as attempt:
            called = saga.called
            # Before sending, because an error may occur after the call left. A waiting saga only asks.
            saga.called = called or at.waits is None
            try:
                reply = self.sender.send(self._request(saga, call, direction, attempt.traceparent))
            except FillError as error:
                reply = Reply(error=str(error), sent=False, impossible=True)
            saga.called = called or (reply.sent and at.waits is None)
            reply, outcome = understood(saga, call, direction, reply, self._url)
            attempt.set_outcome(reply, outcome)
        self.telemetry.called(saga, call, reply)
        return reply, outcome

    def _request(self, saga: Instance, call: Call, direction: Direction, traceparent: str) -> Request:
        at = saga.current
        assert at.step is not None
        own = {"Saga-Epoch": str(saga.epoch), "traceparent": traceparent}
        path, headers, body = filled(saga, call, direction, own, partial(reply_url, self.config))
        return Request(
            participant=call.participant,
            method=call.method,
            url=self._url(call, path),
            headers=headers,
            body=body,
            form=call.form,
            timeout_s=at.step.timeout_s,
            sent_now=saga.sent_now is not None and saga.sent_now == saga.next_attempt,
        )

    def _url(self, call: Call, path: str) -> str:
        base = self.config.participant_url(call.participant)
        return below(base, path) if call.addressed else base + path
