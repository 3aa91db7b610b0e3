"""003's golden signals, at a glance and then over time: latency, traffic, errors, saturation."""

from collections.abc import Iterator, Mapping

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability import shared
from deploy.observability.alerts import JOB
from deploy.observability.facts import Facts
from deploy.observability.links import UNFINISHED
from deploy.observability.panels import GREEN, ORANGE, RED, lines, number, wide, with_list
from deploy.observability.promql import INSTANCE, SAGA, gauge, happened, quantile, rate, share

UID, TITLE = "golden-signals", "Golden signals"

_HTTP = "flask_http_request_duration_seconds"
#: Ours, for participants count their requests by the same name. What machines ask about us says nothing about those
#: whom we serve.
_SERVED = f'{JOB},{INSTANCE},url_rule!~"/metrics/?|/health|/ready|/api/saga/health/"'
_REQUESTS = rate(f"{_HTTP}_count", _SERVED)
_BROKEN = share(rate(f"{_HTTP}_count", f'{_SERVED},status=~"5.."'), _REQUESTS)


def panels(_: Facts) -> Iterator[Builder[Panel]]:
    yield from _now()
    latency = {f"P{int(q * 100)}": quantile(q, _HTTP, _SERVED) for q in (0.5, 0.95, 0.99)}
    says = "Of answered requests; one may wait for its saga."
    yield wide(lines("Latency: requests", latency, unit="s", says=says))
    yield wide(shared.durations().title("Latency: sagas"))
    by_route = ("url_rule", "method")
    requests = happened(rate(f"{_HTTP}_count", _SERVED, *by_route), f"{_HTTP}_count", _SERVED, *by_route)
    yield wide(lines("Traffic: requests", {"{{method}} {{url_rule}}": requests}, unit="reqps", says="By route."))
    yield wide(shared.start_rate().title("Traffic: sagas started"))
    says = "5xx of all answers. 409 and 422 are answers like any other."
    yield wide(lines("Errors: requests", {"5xx": _BROKEN}, unit="percentunit", says=says))
    yield wide(shared.failure_rate().title("Errors: sagas"))
    unfinished = f"sum by (saga) ({gauge('saga_current', SAGA, 'saga', 'state')})"
    says = "What has begun, or waits to, and has no end yet: it grows where more comes in than is carried on."
    panel = lines("Saturation: unfinished sagas", {"{{saga}}": unfinished}, unit="short", says=says, stacked=True)
    yield with_list(wide(panel), status=UNFINISHED)
    yield shared.oldest_of_limit().title("Saturation: oldest, of what its state may last").span(12)


def _now() -> Iterator[Builder[Panel]]:
    slow = f"{quantile(0.95, _HTTP, _SERVED)} >= 0"
    yield number("Latency P95", slow, unit="s", says="Of the requests of the last moments.")
    yield number("Traffic", _REQUESTS, unit="reqps", says="Requests in the last moments.")
    broken: Mapping[float, str] = {0: GREEN, 0.001: ORANGE, 0.01: RED}
    yield number("Errors", _BROKEN, unit="percentunit", says="5xx of the last moments' answers.", steps=broken)
    yield shared.active_now("Unfinished")
    says = "How long the saga has been due that has been due for longest. SagaRecoveryNotRunning fires above a minute."
    overdue: Mapping[float, str] = {0: GREEN, 5: ORANGE, 60: RED}
    yield number("Overdue", gauge("saga_overdue_seconds", INSTANCE), unit="s", says=says, steps=overdue)
    running: Mapping[float, str] = {0: RED, 1: ORANGE, 2: GREEN}
    says = "Processes that run sagas, as the database knows them."
    yield number("Processes", gauge("saga_replicas", INSTANCE), unit="short", says=says, steps=running)
