"""The forms that queries come in.

Counters are summed over replicas as rates or increases, so that a replica that has died still counts for what it did
in the range; never as they stand. Database gauges are the same on every replica: `max`, never `sum`.
"""

INSTANCE = 'instance=~"$instance"'
#: Some metrics name the saga `saga`, those of 002 name it `type`.
SAGA, TYPE = f'saga=~"$saga",{INSTANCE}', f'type=~"$saga",{INSTANCE}'
LEADING = 10
WINDOW, RANGE = "$__rate_interval", "$__range"


def rate(metric: str, selector: str, *by: str) -> str:
    """Give how many a second."""
    return f"{_sum(by)} (rate({metric}{{{selector}}}[{WINDOW}]))"


def per_minute(metric: str, selector: str, *by: str) -> str:
    """Give how many a minute, of what happened at all."""
    return happened(f"60 * {rate(metric, selector, *by)}", metric, selector, *by)


def count(metric: str, selector: str, *by: str) -> str:
    """Give how many in the whole range that the dashboard shows."""
    return f"{_sum(by)} (increase({metric}{{{selector}}}[{RANGE}]))"


def happened(expr: str, metric: str, selector: str, *by: str) -> str:
    """Leave out what did not happen once in the range shown: a hundred lines at 0 hide the one that is not."""
    return f"{expr} and {count(metric, selector, *by)} > 0"


def leading(expr: str, ranked: str) -> str:
    """Leave but the ten that come first in the whole range shown: thirty lines are a carpet."""
    return f"{expr} and topk({LEADING}, {ranked.replace(f'[{RANGE}]', f'[{RANGE}] @ end()')})"


def busiest(metric: str, selector: str, *by: str) -> str:
    return leading(per_minute(metric, selector, *by), count(metric, selector, *by))


def mean_of_range(histogram: str, selector: str, *by: str) -> str:
    return f"{count(f'{histogram}_sum', selector, *by)} / ({count(f'{histogram}_count', selector, *by)} > 0)"


def share(part: str, whole: str) -> str:
    """Give a part of a whole; no part is 0, and nothing at all is no share."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(q: float, histogram: str, selector: str, *by: str) -> str:
    return f"histogram_quantile({q:g}, {_sum(('le', *by))} (rate({histogram}_bucket{{{selector}}}[{WINDOW}])))"


def quantile_of_range(q: float, histogram: str, selector: str, *by: str) -> str:
    return f"histogram_quantile({q:g}, {_sum(('le', *by))} (increase({histogram}_bucket{{{selector}}}[{RANGE}])))"


def mean(histogram: str, selector: str, *by: str) -> str:
    return f"{rate(f'{histogram}_sum', selector, *by)} / {rate(f'{histogram}_count', selector, *by)}"


def gauge(metric: str, selector: str, *by: str) -> str:
    """Give a database gauge, which is the same on every replica."""
    return f"max{_by(by)} ({metric}{{{selector}}})"


def _sum(by: tuple[str, ...]) -> str:
    return f"sum{_by(by)}"


def _by(by: tuple[str, ...]) -> str:
    return f" by ({', '.join(by)})" if by else ""
