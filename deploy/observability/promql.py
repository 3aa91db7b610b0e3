"""Functions that build PromQL queries.

Counters are summed over the replicas as rates or increases, never directly, so that a dead replica still counts with
its share. Database gauges are equal on every replica: use `max`, never `sum`.
"""

INSTANCE = 'instance=~"$instance"'
#: Filters for the selected saga types and instances. The label of the saga type is `saga` in most metrics, and `type`
#: in the metrics that the reference documents (docs/coverage.md) require.
SAGA, TYPE = f'saga=~"$saga",{INSTANCE}', f'type=~"$saga",{INSTANCE}'
LEADING = 10
WINDOW, RANGE = "$__rate_interval", "$__range"


def rate(metric: str, selector: str, *by: str) -> str:
    """Return the query for the rate of a counter per second."""
    return f"{_sum(by)} (rate({metric}{{{selector}}}[{WINDOW}]))"


def per_minute(metric: str, selector: str, *by: str) -> str:
    """Return the query for the rate of a counter per minute, without series that did not grow in the shown range."""
    return happened(f"60 * {rate(metric, selector, *by)}", metric, selector, *by)


def count(metric: str, selector: str, *by: str) -> str:
    """Return the query for the increase of a counter in the shown range."""
    return f"{_sum(by)} (increase({metric}{{{selector}}}[{RANGE}]))"


def happened(expr: str, metric: str, selector: str, *by: str) -> str:
    """Drop the series that did not occur in the shown range: many lines at 0 would hide the others."""
    return f"{expr} and {count(metric, selector, *by)} > 0"


def leading(expr: str, ranked: str) -> str:
    """Keep only the ten largest series of the shown range, so that the graph stays readable."""
    return f"{expr} and topk({LEADING}, {ranked.replace(f'[{RANGE}]', f'[{RANGE}] @ end()')})"


def busiest(metric: str, selector: str, *by: str) -> str:
    return leading(per_minute(metric, selector, *by), count(metric, selector, *by))


def mean_of_range(histogram: str, selector: str, *by: str) -> str:
    return f"{count(f'{histogram}_sum', selector, *by)} / ({count(f'{histogram}_count', selector, *by)} > 0)"


def share(part: str, whole: str) -> str:
    """Return part / whole. A missing part counts as 0; a whole of 0 gives no value."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(q: float, histogram: str, selector: str, *by: str) -> str:
    return f"histogram_quantile({q:g}, {_sum(('le', *by))} (rate({histogram}_bucket{{{selector}}}[{WINDOW}])))"


def quantile_of_range(q: float, histogram: str, selector: str, *by: str) -> str:
    return f"histogram_quantile({q:g}, {_sum(('le', *by))} (increase({histogram}_bucket{{{selector}}}[{RANGE}])))"


def mean(histogram: str, selector: str, *by: str) -> str:
    return f"{rate(f'{histogram}_sum', selector, *by)} / {rate(f'{histogram}_count', selector, *by)}"


def gauge(metric: str, selector: str, *by: str) -> str:
    """Return a database gauge, which is equal on every replica."""
    return f"max{_by(by)} ({metric}{{{selector}}})"


def _sum(by: tuple[str, ...]) -> str:
    return f"sum{_by(by)}"


def _by(by: tuple[str, ...]) -> str:
    return f" by ({', '.join(by)})" if by else ""
