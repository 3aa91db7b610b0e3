"""The reference of the metrics, from the service's own registry."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from prometheus_client import Metric

from app.services import services
from app.store.processes import Processes
from app.store.statistics import SagaCounts
from app.telemetry.aliases import ALIASES
from app.telemetry.derived import DERIVED
from app.telemetry.saga_gauges import SagaGauges
from app.telemetry.table_gauges import TableGauges
from docs.reference.markdown import WRITTEN, table
from docs.reference.service import service

_HEAD = ("metric", "labels", "what it counts or measures")
#: Counts that are all empty or zero: the page shows no values.
_NOTHING: dict[str, Any] = {known.name: {} if "Mapping" in str(known.type) else 0 for known in fields(SagaCounts)} | {
    "processes": Processes(by_role={}, connections=0, allowed=0)
}
#: A metric that names the library, not the service.
_OF_THE_LIBRARY = "flask_exporter_info"
_TEXT = """# Metrics

`GET /metrics` shows them in the text format of Prometheus, and a worker shows them on `METRICS_PORT`. A counter ends
in `_total`; a histogram has `_bucket`, `_sum` and `_count`. Durations are in seconds. A move of a saga is counted after
the commit that made it durable ([ADR 16](../adr/0016-metrics-after-the-commit.md)). No label contains an id or a
person's data.

The dashboards and alerts in `deploy/` are made from these metrics: see [Operations](../operations.md#dashboards).

## Counters

{counter}
## Histograms

{histogram}
## Gauges

{gauge}
The gauges of sagas are read from the database, so all replicas show the same values: take the `max` in a query, and for
`saga_unknown_definition_sagas` the `min`.

## Second names

A reference system has given these metrics other names. They exist only together with the sample saga that they count
([ADR 32](../adr/0032-reference-metrics-count-one-saga.md)).

{aliases}"""


def page() -> str:
    """Return the page, in Markdown."""
    with TemporaryDirectory() as folder:
        return _page_of(_complete_settings(Path(folder)))


def _complete_settings(folder: Path) -> Mapping[str, str]:
    """Return the settings of a webhook and a broker: without them, the service has no metrics of them."""
    file = folder / "webhooks.toml"
    file.write_text('[shop]\nurl = "https://shop.example"')
    servers = {"DATABASE_URL": "postgresql://127.0.0.1:9/none", "BROKER_URL": "redis://127.0.0.1:9"}  # never connected
    return servers | {"WEBHOOKS_FILE": str(file), "WEBHOOK_SHOP_SECRETS": f"whsec_{'A' * 32}"}


def _page_of(settings: Mapping[str, str]) -> str:
    with service("samples", **settings) as app:
        kinds = {kind: _rows(app, kind) for kind in ("counter", "histogram", "gauge")}
    aliases = (
        (f"`{alias.name}`", _names(alias.labels), f"`{alias.source}`, only {_only(alias.only)}") for alias in ALIASES
    )
    tables = {kind: table(_HEAD, rows) for kind, rows in kinds.items()}
    return f"{WRITTEN}\n{_TEXT.format(**tables, aliases=table(('metric', 'labels', 'the same as'), aliases))}"


def _rows(app: Flask, kind: str) -> list[tuple[str, str, str]]:
    metrics = sorted(_metrics(app), key=lambda known: known[0].name)
    return [
        (f"`{_shown(metric)}`", _names(labels), f"{metric.documentation}.")
        for metric, labels in metrics
        if metric.type == kind and metric.name != _OF_THE_LIBRARY
    ]


def _shown(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _names(labels: Mapping[str, str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "–"  # noqa: RUF001  a dash, as in the other tables


def _only(labels: Mapping[str, str]) -> str:
    return ", ".join(f'`{name}="{value}"`' for name, value in labels.items())


def _metrics(app: Flask) -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Yield each metric of the service with the names of its labels."""
    registry = services(app).metrics._registry  # noqa: SLF001  the only place that has the names of the labels
    for collector in registry._collector_to_names:  # noqa: SLF001
        for metric in collector.collect():
            yield metric, tuple(getattr(collector, "_labelnames", ()))
    for counter in DERIVED:
        yield Metric(counter.name, counter.help, "counter"), counter.labels
    for family in TableGauges(services(app).registry).collect():
        yield family, tuple(getattr(family, "_labelnames", ()))
    for family in SagaGauges(lambda: SagaCounts(**_NOTHING), services(app).registry).collect():
        yield family, tuple(getattr(family, "_labelnames", ()))
