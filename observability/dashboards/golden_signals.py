"""003's golden signals: latency, traffic, errors, saturation."""

from collections.abc import Iterator

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from observability import shared
from observability.facts import Facts
from observability.panels import GREEN, ORANGE, RED, lines, number
from observability.promql import INSTANCE, gauge, quantile, rate, share

UID, TITLE = "golden-signals", "Golden signals"

_HTTP = "flask_http_request_duration_seconds"
#: What machines ask about us says nothing about those whom we serve.
_SERVED = f'{INSTANCE},url_rule!~"/metrics/?|/health|/ready|/api/saga/health/"'


def panels(_: Facts) -> Iterator[Builder[Panel]]:
    latency = {f"P{int(q * 100)}": quantile(q, _HTTP, _SERVED) for q in (0.5, 0.95, 0.99)}
    yield lines("Latency: requests", latency, unit="s", says="Of answered requests; one may wait for its saga.").span(
        12
    )
    yield shared.durations().title("Latency: sagas").span(12)
    requests = rate(f"{_HTTP}_count", _SERVED, "url_rule", "method")
    yield lines("Traffic: requests", {"{{method}} {{url_rule}}": requests}, unit="reqps", says="By route.").span(12)
    yield shared.start_rate().title("Traffic: sagas started").span(12)
    whole = rate(f"{_HTTP}_count", _SERVED)
    broken = share(rate(f"{_HTTP}_count", f'{_SERVED},status=~"5.."'), whole)
    says = "5xx of all answers. 409 and 422 are answers like any other."
    yield lines("Errors: requests", {"5xx": broken}, unit="percentunit", says=says).span(12)
    yield shared.failure_rate().title("Errors: sagas").span(12)
    yield shared.active_now("Saturation: active").height(8)
    yield _now("Saturation: overdue", gauge("saga_overdue_seconds", INSTANCE), "s", {0: GREEN, 5: ORANGE, 60: RED})
    yield _now("Replicas", gauge("saga_replicas", INSTANCE), "short", {0: RED, 1: ORANGE, 2: GREEN})
    yield shared.oldest_of_limit().title("Saturation: oldest, of what its state may last").span(12)


def _now(title: str, expr: str, unit: str, steps: dict[float, str]) -> Builder[Panel]:
    says = "The same on every replica, for the database knows it: due and not carried on yet; processes that run sagas."
    return number(title, expr, unit=unit, says=says, steps=steps).height(8)
