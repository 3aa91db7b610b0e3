"""Spans arrive at OTEL_EXPORTER_OTLP_ENDPOINT, and a saga is one trace even across a SIGKILL."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.waiting import eventually

CART = {"client_id": 4, "magasin_id": 1}


class Collector:
    """Receives spans over OTLP and keeps them."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        kept = self.spans

        class SpanReceiver(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    kept.extend(span for scope in resource.scope_spans for span in scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), SpanReceiver)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, saga_id: str) -> dict[str, Any]:
        return {span.name: span for span in self.spans if span.trace_id.hex() == saga_id.replace("-", "")}


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_saga_is_one_trace_across_a_kill(orchestrator, participants, collector):
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    first = orchestrator(**settings)
    participants.add_fault("client", kind="slow", path="/4/payer", times=1, seconds=3.0)
    url = f"{first.url}/api/commande/checkout"
    saga_id = requests.post(url, json=CART, headers={"Prefer": "respond-async"}, timeout=10).json()["saga_id"]
    eventually(lambda: "POST stock/reserver" in collector.of(saga_id), "its first spans have come")
    first.kill()
    second = orchestrator(**settings)
    ended = f"{second.url}/api/commande/{saga_id}"
    eventually(lambda: requests.get(ended, timeout=5).json()["etat_actuel"] == "CONFIRMEE", "it ends")
    eventually(lambda: "saga checkout" in collector.of(saga_id), "the span of the whole has come")
    spans = collector.of(saga_id)
    whole = spans.pop("saga checkout")
    assert spans.keys() >= {"POST stock/reserver", "POST client/{client_id}/payer", "POST stock/confirmer"}
    assert {span.parent_span_id for span in spans.values()} == {whole.span_id}
    assert whole.start_time_unix_nano <= min(span.start_time_unix_nano for span in spans.values()) + 1e9
