"""How many requests each participant has answered, and in what time: /{name}/metrics, and all of them in /metrics."""

from collections.abc import Iterable, Iterator
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry, Metric, disable_created_metrics
from prometheus_flask_exporter import PrometheusMetrics
from werkzeug.exceptions import MethodNotAllowed

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
# A second series to each one, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]


def count_requests(app: Flask) -> None:
    """By route, and never by whose it was."""
    registry = CollectorRegistry()
    serve = app.wsgi_app

    def refuse_unknown_methods(asked: dict[str, Any], start_response: Any) -> Any:
        """Any text may come as a method, and each one would be a series of its own."""
        known = asked["REQUEST_METHOD"] in METHODS
        return (serve if known else MethodNotAllowed(sorted(METHODS)))(asked, start_response)

    app.wsgi_app = refuse_unknown_methods  # type: ignore[assignment, method-assign]
    PrometheusMetrics(app, group_by="url_rule", default_labels={"participant": app.name}, registry=registry)
    app.extensions["metrics"] = registry


def show_all(app: Flask, services: Iterable[Flask]) -> None:
    """Let this app show the metrics of all services."""
    merged = _Merged(service.extensions["metrics"] for service in services)
    PrometheusMetrics(app, export_defaults=False, registry=merged)


class _Merged(CollectorRegistry):
    """The same metrics of several apps, which differ in a label."""

    def __init__(self, registries: Iterable[CollectorRegistry]) -> None:
        super().__init__()
        self._registries = list(registries)

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        for registry in self._registries:
            for metric in registry.collect():
                shown = merged.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                shown.samples += [sample for sample in metric.samples if sample not in shown.samples]
        yield from merged.values()
