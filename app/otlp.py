"""The export of spans over OTLP to OTEL_EXPORTER_OTLP_ENDPOINT. Imported only when that is set."""

import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from app.config import OTEL_SERVICE_NAME
from app.traces import root_of


class SagaIds(RandomIdGenerator):
    """Gives the span of a whole saga the ids that are derived from the saga's id."""

    def generate_trace_id(self) -> int:
        root = root_of.get()
        return root[0] if root else super().generate_trace_id()

    def generate_span_id(self) -> int:
        root = root_of.get()
        return root[1] if root else super().generate_span_id()


def provider(processor: SpanProcessor | None = None) -> TracerProvider:
    """Return a provider as the OTEL_ variables say. processor: receives the spans; default: batches to the endpoint."""
    resource = Resource.create({"service.name": OTEL_SERVICE_NAME.read(os.environ)})
    made = TracerProvider(resource=resource, id_generator=SagaIds())
    made.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
    return made
