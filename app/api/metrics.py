"""/metrics, and the metrics of every HTTP request by route."""

from collections.abc import Iterable
from time import perf_counter
from typing import Any

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_flask_exporter import PrometheusMetrics
from werkzeug.exceptions import MethodNotAllowed

from app.services import services
from app.telemetry.entry_queue import EntryQueue
from app.telemetry.telemetry import cached

#: Methods that have a label value of their own. Otherwise any text that a client sends as the method would add a
#: series.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
#: Label value of every method that is not in METHODS.
OTHER = "other"


class Exporter(PrometheusMetrics):  # type: ignore[misc]  # the library has no types
    """Counts requests by route in `registry`, and serves /metrics."""

    def __init__(self, app: Flask, registry: CollectorRegistry, queue: EntryQueue) -> None:
        self._queue = queue
        super().__init__(app, group_by="url_rule", registry=registry)
        # /metrics/ works like /metrics, because the paths below /api/saga end with a slash and the other paths do not.
        app.add_url_rule("/metrics/", "prometheus_metrics")

    def export_defaults(self, **_options: Any) -> None:
        """Create the metrics of HTTP requests. The thread of the `EntryQueue` updates them after the answer."""
        self.info("flask_exporter_info", "Information about the Prometheus Flask exporter", version=self.version)
        labels = ("method", self.group_by, "status")
        durations = Histogram("flask_http_request_duration_seconds", "Requests", labels, registry=self.registry)
        requests = Counter("flask_http_request", "Requests", ("method", "status"), registry=self.registry)
        self._durations, self._requests = cached(durations), cached(requests)
        self.app.before_request(_start_clock)
        self.app.after_request(self._end)

    def _end(self, response: Response) -> Response:
        if started_at := g.get("started_at"):  # not set when an earlier hook has answered the request
            rule = str(request.url_rule)
            method = request.method if request.method in METHODS else OTHER
            self._queue.add(self._count, method, rule, str(response.status_code), perf_counter() - started_at)
        return response

    def _count(self, method: str, rule: str, status: str, seconds: float) -> None:
        self._durations.labels(method, rule, status).observe(seconds)
        self._requests.labels(method, status).inc()

    def generate_metrics(self, accept_header: str | None = None, names: Iterable[str] | None = None) -> tuple[str, str]:
        metrics = services().metrics
        shown = metrics.restricted_registry(names) if names else metrics
        encode, content_type = choose_encoder(accept_header or "")
        return encode(shown).decode(), content_type


def _start_clock() -> None:
    g.started_at = perf_counter()
    if request.method not in METHODS:
        raise MethodNotAllowed(sorted(METHODS))
