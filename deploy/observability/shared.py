"""The panels that several dashboards share."""

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries

from deploy.observability.budget import BUDGET, ENDED, FAILED
from deploy.observability.links import NOT_COMPLETED, UNFINISHED
from deploy.observability.panels import (
    GREEN,
    ORANGE,
    PER_MINUTE,
    PER_SECOND,
    RED,
    bars,
    limited,
    lines,
    number,
    with_list,
    with_row_list,
)
from deploy.observability.promql import SAGA, TYPE, count, gauge, mean, per_minute, quantile, rate, share

_DURATION = "saga_duration_seconds"
_STARTED = f'{SAGA},status="started"'


def start_rate() -> TimeSeries:
    started = rate("saga_total", _STARTED, "saga")
    return lines("Start rate", {"{{saga}}": started}, unit=PER_SECOND, text="Sagas started per second.")


def started(title: str) -> Stat:
    expr = f"round({count('saga_total', _STARTED)})"
    return number(title, expr, unit="short", text="Sagas started in the shown range on all replicas.")


def durations() -> TimeSeries:
    queries = {
        "P50": quantile(0.5, _DURATION, TYPE),
        "P95": quantile(0.95, _DURATION, TYPE),
        "mean": mean(_DURATION, TYPE),
    }
    text = "From the start of a saga to its end, confirmed or undone. The target is a mean below 500 ms."
    return lines("Saga duration: P50, P95, mean", queries, unit="s", text=text)


def compensations() -> TimeSeries:
    undone = per_minute("saga_compensations_total", TYPE, "type", "step")
    text = "Steps that were undone, per minute."
    panel = lines("Compensations", {"{{type}} {{step}}": undone}, unit=PER_MINUTE, text=text)
    return with_list(panel, status="compensating,compensated")


def by_status() -> TimeSeries:
    text = "Sagas that start and that end, per minute. Started sagas should end completed."
    reached = per_minute("saga_total", SAGA, "status")
    return lines("Progression by status", {"{{status}}": reached}, unit=PER_MINUTE, text=text)


def stuck_now() -> Stat:
    here = f"{gauge('saga_current', SAGA, 'saga', 'state')} and on (saga, state) "
    expr = f'sum({here}saga_dwell_limit_seconds{{phase="stuck"}})'
    text = "These sagas have stopped; an operator must decide."
    return with_list(number("Stuck now", expr, unit="short", text=text, steps={0: GREEN, 1: RED}), stuck="true")


def active_now(title: str) -> Stat:
    expr = f"sum({gauge('saga_current', SAGA, 'saga', 'state')})"
    text = "Sagas that are pending or started and have not ended."
    return with_list(number(title, expr, unit="short", text=text), status=UNFINISHED)


def success_rate() -> Stat:
    whole = count("saga_total", f'{SAGA},status=~"{ENDED}"')
    part = count("saga_total", f'{SAGA},status="completed"')
    steps = {0: RED, 1 - BUDGET: ORANGE, 0.9: GREEN}
    text = "Share of completed sagas among those that ended in the shown range. The target is more than 80 %."
    return number("Success rate", share(part, whole), unit="percentunit", text=text, steps=steps)


def failure_rate() -> TimeSeries:
    whole = rate("saga_total", f'{SAGA},status=~"{ENDED}"', "saga")
    part = rate("saga_total", f'{SAGA},status=~"{FAILED}"', "saga")
    text = "Share of the ended sagas that are compensated or stuck. The dashed line is the error budget, one in five."
    panel = lines("Failure rate", {"{{saga}}": share(part, whole)}, unit="percentunit", text=text)
    return with_list(limited(panel, BUDGET), status=NOT_COMPLETED)


def failures() -> BarGauge:
    expr = f"sort_desc(round({count('saga_failures_total', TYPE, 'type', 'step')}) > 0)"
    text = "Sagas that could not go forward in the shown range, by the failed step."
    panel = bars("Failures", expr, "{{type}} {{step}}", unit="short", text=text, steps={0: ORANGE})
    return with_row_list(with_list(panel, status=NOT_COMPLETED), "${__field.labels.type}", status=NOT_COMPLETED)


def slowest_steps() -> BarGauge:
    attempts = "sum by (saga, step, direction) (increase(saga_step_duration_seconds"
    slow = f"{attempts}_sum{{{SAGA}}}[$__range])) / ({attempts}_count{{{SAGA}}}[$__range])) > 0)"
    text = "Mean duration of an attempt in the shown range, slowest first."
    return bars("Slowest steps", f"topk(10, {slow})", "{{saga}} {{step}} {{direction}}", unit="s", text=text)


def oldest_of_limit() -> BarGauge:
    ages = gauge("saga_oldest_age_seconds", SAGA, "saga", "state")
    expr = f"topk(10, {ages} / on (saga, state) saga_dwell_limit_seconds > 0)"
    panel = bars(
        "Oldest saga, as a share of what its state may last",
        expr,
        "{{saga}} {{state}}",
        unit="percentunit",
        text="SagaOverstayed fires above 100 %, except for stuck sagas, which have their own alert.",
        steps={0: GREEN, 0.5: ORANGE, 1: RED},
    ).no_value("all sagas have ended")
    panel = with_list(panel, status=UNFINISHED)
    return with_row_list(panel, "${__field.labels.saga}", state="${__field.labels.state}")


def waiting_now() -> BarGauge:
    """Return the panel with one bar for each thing that sagas wait for."""
    sagas = gauge("saga_current", SAGA, "saga", "state")
    panel = bars(
        "What sagas wait for",
        f"sort_desc(sum by (waits_for) ({sagas} * on (saga, state) group_right () saga_wait_info) > 0)",
        "{{waits_for}}",
        unit="short",
        text="Sagas that wait for a signal, for an answer, or for the end of a pause.",
    ).no_value("no saga waits")
    return with_list(panel, status="waiting")
