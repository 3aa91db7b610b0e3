"""Traces: one per saga across all processes, with a span for each attempt of each call.

The saga's id is the id of its trace, and its last half is the id of the span of the whole saga. So nothing is stored or
passed on, and a restarted process continues the same trace. Traces are off unless OTEL_EXPORTER_OTLP_ENDPOINT names
where spans are sent; then the other OTEL_ variables of the SDK apply as well.
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

from app.calls.outcome import Reply
from app.store.instance import Instance
from machines.call import Call
from machines.outcomes import Outcome

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

#: Ids of trace and span for the next root span; see app.otlp.
root_of: ContextVar[tuple[int, int] | None] = ContextVar("root_of", default=None)
_FAILED = (Outcome.REFUSED, Outcome.REFUSED_UNDO, Outcome.IN_DOUBT)


class Attempt:
    """One sending of a call, with the trace header for its participant."""

    def __init__(self, saga: Instance, span: trace.Span | None) -> None:
        self._span = span
        # The id is not a secret. It only has to differ from other ids.
        own = span.get_span_context().span_id if span else random.getrandbits(64)
        self.traceparent = f"00-{saga.id.hex}-{own:016x}-{'01' if span else '00'}"

    def set_outcome(self, reply: Reply, outcome: Outcome) -> None:
        """Record the result of the attempt in its span."""
        if self._span is None:
            return
        self._span.set_attribute("saga.outcome", outcome.value)
        if reply.status is not None:
            self._span.set_attribute("http.response.status_code", reply.status)
        if outcome in _FAILED:
            self._span.set_status(StatusCode.ERROR, reply.reason)


class Traces:
    """The recorder of spans. Without a provider nothing is recorded, and the trace header says so."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._tracer = provider.get_tracer("saga") if provider else None

    def attempt(self, saga: Instance, call: Call) -> AbstractContextManager[Attempt]:
        """Return a context that is recorded as one attempt of the call."""
        if self._tracer is None:
            return nullcontext(Attempt(saga, None))
        return self._recorded(self._tracer, saga, call)

    @contextmanager
    def _recorded(self, tracer: trace.Tracer, saga: Instance, call: Call) -> Iterator[Attempt]:
        step = saga.current.step
        attributes: dict[str, str | int] = {
            "saga.id": saga.id_text,
            "saga.type": saga.definition.name,
            "saga.step": step.name if step else "",
            "saga.direction": saga.current.direction,
            "saga.attempt": saga.attempt + 1,
            "saga.epoch": saga.epoch,
            "peer.service": call.participant,
            "http.request.method": call.method,
            "url.template": call.path,
        }
        with tracer.start_as_current_span(
            str(call), trace.set_span_in_context(_saga_span(saga.id)), SpanKind.CLIENT, attributes
        ) as span:
            yield Attempt(saga, span)

    def ended(self, saga: Instance, took_s: float) -> None:
        """Record the span of the whole saga after its end."""
        if self._tracer is None:
            return
        now = time.time_ns()
        attributes = {"saga.id": saga.id_text, "saga.type": saga.definition.name, "saga.state": saga.state}
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


def _saga_span(saga_id: UUID) -> NonRecordingSpan:
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return NonRecordingSpan(SpanContext(saga_id.int, _span_id(saga_id), is_remote=True, trace_flags=sampled))
