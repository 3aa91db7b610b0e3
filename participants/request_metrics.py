"""The request metrics of each participant at /{name}/metrics, and of all participants at /metrics."""

from collections.abc import Iterable, Iterator
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry, Metric, disable_created_metrics
from prometheus_flask_exporter import PrometheusMetrics
from werkzeug.exceptions import MethodNotAllowed

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
# Avoids the series *_created, which nothing uses.
disable_created_metrics()  # type: ignore[no-untyped-call]


def count_requests(app: Flask) -> None:
    """Count the requests of an app by route and status, without ids of sagas or clients."""
    registry = CollectorRegistry()
    serve = app.wsgi_app

    def refuse_unknown_methods(wsgi_environ: dict[str, Any], start_response: Any) -> Any:
        """Answer 405 for an unknown method: each invented method would create a new series."""
        known = wsgi_environ["REQUEST_METHOD"] in METHODS
        return (serve if known else MethodNotAllowed(sorted(METHODS)))(wsgi_environ, start_response)

    app.wsgi_app = refuse_unknown_methods  # type: ignore[assignment, method-assign]
    PrometheusMetrics(app, group_by="url_rule", default_labels={"participant": app.name}, registry=registry)
    app.extensions["metrics"] = registry


def show_all(app: Flask, services: Iterable[Flask]) -> None:
    """Add /metrics with the metrics of all services to this app."""
    merged = _Merged(service.extensions["metrics"] for service in services)
    PrometheusMetrics(app, export_defaults=False, registry=merged)


class _Merged(CollectorRegistry):
    """The merged metrics of several apps; the label `participant` distinguishes them."""

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
