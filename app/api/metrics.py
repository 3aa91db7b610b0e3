"""/metrics, and the metrics of every HTTP request by route."""

from collections.abc import Callable, Iterable
from threading import Lock
from time import monotonic, perf_counter, thread_time
from typing import Any

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_flask_exporter import PrometheusMetrics
from werkzeug.exceptions import MethodNotAllowed

from app.errors import BusyError
from app.services import services
from app.telemetry.entry_queue import EntryQueue
from app.telemetry.telemetry import cached

#: Methods that have a label value of their own. Otherwise any text that a client sends as the method would add a
#: series.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
#: Label value of every method that is not in METHODS.
OTHER = "other"
#: Part of one CPU that new answers of one format take, and the CPU time that they may take at once, in seconds.
#: Everybody who reaches the port can ask, and an answer takes up to 0.25 s.
SHARE, AT_ONCE_S = 0.05, 2.0
#: The formats in which all metrics are answered. A client names versions and escapings of its own beside them.
_OPEN_METRICS, _PLAIN = "application/openmetrics-text; version=1.0.0", ""


class Answers:
    """Makes the answers of /metrics in one format. When their CPU time is used up, scrapes share the last answer.

    clock: in seconds. cpu: returns the CPU time of this thread, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, cpu: Callable[[], float] = thread_time) -> None:
        self._clock, self._cpu, self._lock = clock, cpu, Lock()
        self._left_s, self._at = AT_ONCE_S, clock()
        self._last: str | None = None

    def text(self, make: Callable[[], str], *, shared: bool = True) -> str:
        """Return a new answer, or the last one. Raise BusyError when the answer is not shared and no time is left."""
        with self._lock:
            now = self._clock()
            self._left_s, self._at = min(AT_ONCE_S, self._left_s + (now - self._at) * SHARE), now
            if self._left_s <= 0:
                if self._last is not None:
                    return self._last
                raise BusyError("too many scrapes of selected metrics; try again later")
            started = self._cpu()
            text = make()
            self._left_s -= self._cpu() - started
            if shared:
                self._last = text
            return text


class Exporter(PrometheusMetrics):  # type: ignore[misc]  # the library has no types
    """Counts requests by route in `registry`, and serves /metrics."""

    def __init__(self, app: Flask, registry: CollectorRegistry, queue: EntryQueue) -> None:
        self._queue = queue
        self._answers = {_OPEN_METRICS: Answers(), _PLAIN: Answers()}
        self._selected = Answers()
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
        wanted = _format(accept_header or "")
        encode, content_type = choose_encoder(wanted)
        answers = self._selected if names else self._answers[wanted]
        return answers.text(lambda: encode(shown).decode(), shared=not names), content_type


def _format(accept: str) -> str:
    try:
        content_type = choose_encoder(accept)[1]
    except (TypeError, ValueError):  # of the library, for a version that is no number
        return _PLAIN
    return _OPEN_METRICS if content_type.startswith("application/openmetrics-text") else _PLAIN


def _start_clock() -> None:
    g.started_at = perf_counter()
    if request.method not in METHODS:
        raise MethodNotAllowed(sorted(METHODS))
