"""The export of traces over OTLP. This module is imported only when OTEL_EXPORTER_OTLP_ENDPOINT is set."""

import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from app.config import OTEL_SERVICE_NAME
from app.traces import root_of


class SagaIds(RandomIdGenerator):
    """Generates the ids of spans. The span of a whole saga gets ids that are derived from the saga's id."""

    def generate_trace_id(self) -> int:
        root = root_of.get()
        return root[0] if root else super().generate_trace_id()

    def generate_span_id(self) -> int:
        root = root_of.get()
        return root[1] if root else super().generate_span_id()


def provider(processor: SpanProcessor | None = None) -> TracerProvider:
    """Return a provider of traces, configured by the OTEL_ variables.

    processor: receives the spans; default: sends them to the endpoint in batches.
    """
    resource = Resource.create({"service.name": OTEL_SERVICE_NAME.read(os.environ)})
    made = TracerProvider(resource=resource, id_generator=SagaIds())
    made.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
    return made
