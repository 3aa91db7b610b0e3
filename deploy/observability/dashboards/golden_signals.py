"""The four golden signals, now and over time: latency, traffic, errors and saturation."""

from collections.abc import Iterator, Mapping

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability import shared
from deploy.observability.alerts import JOB
from deploy.observability.links import UNFINISHED
from deploy.observability.panels import GREEN, ORANGE, RED, lines, number, wide, with_list
from deploy.observability.promql import INSTANCE, SAGA, gauge, happened, quantile, rate, share
from machines.facts import Facts

UID, TITLE = "golden-signals", "Golden signals"

_HTTP = "flask_http_request_duration_seconds"
#: Only the orchestrator's requests, because participants use the same metric name. Probes and scrapes are excluded.
_SERVED = f'{JOB},{INSTANCE},url_rule!~"/metrics/?|/health|/ready|/api/saga/health/"'
_REQUESTS = rate(f"{_HTTP}_count", _SERVED)
_BROKEN = share(rate(f"{_HTTP}_count", f'{_SERVED},status=~"5.."'), _REQUESTS)


def panels(_: Facts) -> Iterator[Builder[Panel]]:
    yield from _now()
    latency = {f"P{int(q * 100)}": quantile(q, _HTTP, _SERVED) for q in (0.5, 0.95, 0.99)}
    text = "Duration of answered requests; a request may wait for its saga."
    yield wide(lines("Latency: requests", latency, unit="s", text=text))
    yield wide(shared.durations().title("Latency: sagas"))
    by_route = ("url_rule", "method")
    requests = happened(rate(f"{_HTTP}_count", _SERVED, *by_route), f"{_HTTP}_count", _SERVED, *by_route)
    yield wide(lines("Traffic: requests", {"{{method}} {{url_rule}}": requests}, unit="reqps", text="By route."))
    yield wide(shared.start_rate().title("Traffic: sagas started"))
    text = "Share of 5xx answers. 409 and 422 do not count as errors."
    yield wide(lines("Errors: requests", {"5xx": _BROKEN}, unit="percentunit", text=text))
    yield wide(shared.failure_rate().title("Errors: sagas"))
    unfinished = f"sum by (saga) ({gauge('saga_current', SAGA, 'saga', 'state')})"
    text = "Sagas that are pending or started and have not ended. The number grows when more sagas start than end."
    panel = lines("Saturation: unfinished sagas", {"{{saga}}": unfinished}, unit="short", text=text, stacked=True)
    yield with_list(wide(panel), status=UNFINISHED)
    yield shared.oldest_of_limit().title("Saturation: oldest, of what its state may last").span(12)


def _now() -> Iterator[Builder[Panel]]:
    slow = f"{quantile(0.95, _HTTP, _SERVED)} >= 0"
    yield number("Latency P95", slow, unit="s", text="Of the latest requests.")
    yield number("Traffic", _REQUESTS, unit="reqps", text="Requests at present.")
    error_steps: Mapping[float, str] = {0: GREEN, 0.001: ORANGE, 0.01: RED}
    yield number("Errors", _BROKEN, unit="percentunit", text="Share of 5xx in the latest answers.", steps=error_steps)
    yield shared.active_now("Unfinished")
    text = "How long the longest overdue saga has been due. SagaRecoveryNotRunning fires above one minute."
    overdue: Mapping[float, str] = {0: GREEN, 5: ORANGE, 60: RED}
    yield number("Overdue", gauge("saga_overdue_seconds", INSTANCE), unit="s", text=text, steps=overdue)
    running: Mapping[float, str] = {0: RED, 1: ORANGE, 2: GREEN}
    text = "Processes that run sagas, by their heartbeats in the database."
    yield number("Processes", gauge("saga_replicas", INSTANCE), unit="short", text=text, steps=running)
