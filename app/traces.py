"""Traces: one a saga, whichever processes carry it on, and in it a span for each attempt of each call.

A saga's id is its trace's id, and the last half of it the id of the span that stands for the saga as a whole. So
nothing has to be kept or handed over, and a restart goes on in the same trace. Off unless OTEL_EXPORTER_OTLP_ENDPOINT
says where spans are to be sent; the other OTEL_ variables of the SDK apply then as well.
"""

import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING
from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from app.participants.outcome import Outcome, Reply
from app.store.instance import Instance
from machines.call import Call

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

#: The ids, of trace and span, that the next root span is to have; see app.otlp.
root_of: ContextVar[tuple[int, int] | None] = ContextVar("root_of", default=None)
_FAILED = (Outcome.REFUSED, Outcome.UNKNOWN)


class Attempt:
    """One sending of a call, as its participant is told of it."""

    def __init__(self, saga: Instance, span: trace.Span | None) -> None:
        self._span = span
        # Not a secret, only different from the others.
        own = span.get_span_context().span_id if span else random.getrandbits(64)
        self.traceparent = f"00-{saga.id.hex}-{own:016x}-{'01' if span else '00'}"

    def became(self, reply: Reply, outcome: Outcome) -> None:
        if self._span is None:
            return
        self._span.set_attribute("saga.outcome", outcome.value)
        if reply.status is not None:
            self._span.set_attribute("http.response.status_code", reply.status)
        if outcome in _FAILED:
            self._span.set_status(StatusCode.ERROR, reply.reason)


class Traces:
    """Without a provider nothing is recorded, and participants are told so."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._tracer = provider.get_tracer("saga") if provider else None

    def attempt(self, saga: Instance, call: Call) -> AbstractContextManager[Attempt]:
        """Record what is done within as one attempt of the call."""
        if self._tracer is None:
            return nullcontext(Attempt(saga, None))
        return self._recorded(self._tracer, saga, call)

    @contextmanager
    def _recorded(self, tracer: trace.Tracer, saga: Instance, call: Call) -> Iterator[Attempt]:
        step = saga.at.step
        attributes: dict[str, str | int] = {
            "saga.id": str(saga.id),
            "saga.type": saga.definition.name,
            "saga.step": step.name if step else "",
            "saga.direction": saga.at.direction,
            "saga.attempt": saga.attempt + 1,
            "saga.epoch": saga.epoch,
            "peer.service": call.participant,
            "http.request.method": call.method,
            "url.template": call.path,
        }
        with tracer.start_as_current_span(
            str(call), trace.set_span_in_context(_whole(saga.id)), SpanKind.CLIENT, attributes
        ) as span:
            yield Attempt(saga, span)

    def ended(self, saga: Instance, took_s: float) -> None:
        """Record the span of the saga as a whole, once it has come to its end."""
        if self._tracer is None:
            return
        now = time.time_ns()
        attributes = {"saga.id": str(saga.id), "saga.type": saga.definition.name, "saga.state": saga.state}
        named = root_of.set((saga.id.int, _span_id(saga.id)))
        try:
            span = self._tracer.start_span(
                f"saga {saga.definition.name}", Context(), SpanKind.INTERNAL, attributes,
                start_time=now - int(took_s * 1e9),
            )  # fmt: skip
        finally:
            root_of.reset(named)
        span.end(now)


def _span_id(saga_id: UUID) -> int:
    return saga_id.int & (1 << 64) - 1


def _whole(saga_id: UUID) -> NonRecordingSpan:
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return NonRecordingSpan(SpanContext(saga_id.int, _span_id(saga_id), is_remote=True, trace_flags=sampled))
