"""Traces: one trace for each saga, with a span for each attempt of a call and a span for the whole saga.

The id of the trace is the saga's id, and the id of the saga's span is the second half of the saga's id. So no id is
stored, and each process continues the same trace. Traces are off unless OTEL_EXPORTER_OTLP_ENDPOINT is set. The other
OTEL_ variables of the OpenTelemetry SDK work, too.
"""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING
from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from app.store.instance import Instance
from machines.call import Call
from machines.outcomes import Outcome
from machines.replies import Reply

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

#: Trace id and span id that the next new span gets; None: random ids. app.otlp reads them.
root_of: ContextVar[tuple[int, int] | None] = ContextVar("root_of", default=None)
_FAILED = (Outcome.REFUSED, Outcome.REFUSED_UNDO, Outcome.IN_DOUBT)


class Attempt:
    """One attempt of a call, with the trace header for its participant."""

    def __init__(self, saga_id: UUID, span: trace.Span | None) -> None:
        self._span = span
        # A simple random number is enough, because the id is no secret; it must only differ from other ids.
        own = span.get_span_context().span_id if span else random.getrandbits(64)
        self.traceparent = f"00-{saga_id.hex}-{own:016x}-{'01' if span else '00'}"

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
    """Records spans. Without a provider it records nothing, and the trace header says that the call is not recorded."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._tracer = provider.get_tracer("saga") if provider else None

    def attempt(self, saga: Instance, call: Call) -> AbstractContextManager[Attempt]:
        """Return a context manager that records its block as one attempt of the call."""
        if self._tracer is None:
            return nullcontext(Attempt(saga.id, None))
        step = saga.current.step
        attributes: Mapping[str, str | int] = {
            "saga.type": saga.definition.name,
            "saga.step": step.name if step else "",
            "saga.direction": saga.current.direction,
            "saga.attempt": saga.failed_attempts + 1,
            "saga.epoch": saga.epoch,
        }
        return self._recorded(self._tracer, saga.id, call, attributes)

    def attempt_at_end(
        self, saga_id: UUID, saga_type: str, name: str, call: Call, number: int
    ) -> AbstractContextManager[Attempt]:
        """Return a context manager that records its block as one attempt of a call after the end of a saga.

        name: see `machines.references.end_name`. number: number of the attempt, from 1.
        """
        if self._tracer is None:
            return nullcontext(Attempt(saga_id, None))
        attributes: Mapping[str, str | int] = {"saga.type": saga_type, "saga.step": name, "saga.attempt": number}
        return self._recorded(self._tracer, saga_id, call, attributes)

    @contextmanager
    def _recorded(
        self, tracer: trace.Tracer, saga_id: UUID, call: Call, attributes: Mapping[str, str | int]
    ) -> Iterator[Attempt]:
        about = {
            "saga.id": str(saga_id),
            "peer.service": call.participant,
            "http.request.method": call.method,
            "url.template": call.path,
        }
        with tracer.start_as_current_span(
            str(call), trace.set_span_in_context(_saga_span(saga_id)), SpanKind.CLIENT, {**attributes, **about}
        ) as span:
            yield Attempt(saga_id, span)

    def ended(self, saga: Instance, took_s: float) -> None:
        """Record the span of the whole saga after its end. took_s: its duration in seconds."""
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
