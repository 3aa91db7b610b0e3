"""The dashboard Saga Performance: the duration of sagas, steps and participant calls."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability import shared
from deploy.observability.columns import FILLED, GAUGE, TEXT, Column, columns
from deploy.observability.panels import BLUE, GREY, ORANGE, PER_MINUTE, lines, wide, with_list, with_row_list
from deploy.observability.promql import (
    INSTANCE,
    SAGA,
    TYPE,
    count,
    leading,
    mean,
    mean_of_range,
    per_minute,
    quantile,
    quantile_of_range,
)
from machines.facts import Facts

UID, TITLE = "saga-performance", "Saga Performance"

_STEP, _CALL = "saga_step_duration_seconds", "saga_participant_call_duration_seconds"
_STEPS, _CALLS = ("saga", "step", "direction"), ("participant", "endpoint")


def panels(_: Facts) -> Iterator[Builder[Panel]]:
    yield _steps()
    step = "{{saga}} {{step}} {{direction}}"
    text = "Duration of one attempt, for the ten slowest steps of the shown range."
    slow = leading(quantile(0.95, _STEP, SAGA, *_STEPS), quantile_of_range(0.95, _STEP, SAGA, *_STEPS))
    yield wide(lines("Step P95 over time", {step: slow}, unit="s", text=text))
    slow = leading(mean(_STEP, SAGA, *_STEPS), mean_of_range(_STEP, SAGA, *_STEPS))
    yield wide(lines("Step mean over time", {step: slow}, unit="s", text=text))
    by_type = {"{{type}}": quantile(0.95, "saga_duration_seconds", TYPE, "type")}
    yield lines("Saga duration P95 by type", by_type, unit="s", text="From the start of a saga to its end.")
    yield shared.durations()
    claims = {f"P{int(q * 100)}": quantile(q, "saga_claim_duration_seconds", INSTANCE) for q in (0.5, 0.95)}
    yield lines("Claim duration", claims, unit="s", text="One claim of due sagas in the database.")
    slow = leading(quantile(0.95, _CALL, INSTANCE, *_CALLS), quantile_of_range(0.95, _CALL, INSTANCE, *_CALLS))
    text = "One HTTP call of any saga; the ten slowest."
    yield wide(lines("Participant P95", {"{{participant}} {{endpoint}}": slow}, unit="s", text=text))
    again = {step: per_minute("saga_retries_total", SAGA, *_STEPS)}
    yield wide(lines("Retries", again, unit=PER_MINUTE, text="Attempts that were sent again, per minute."))


def _steps() -> Table:
    """Return the table with one row per step and direction; the slowest comes first."""
    attempts = count(f"{_STEP}_count", SAGA, *_STEPS)
    again = count("saga_retries_total", SAGA, *_STEPS)
    panel = columns(
        "Steps",
        _STEPS,
        {
            "attempts": Column(f"{attempts} > 0", GREY, TEXT),
            "sent again": Column(f"{again} and {attempts} > 0", ORANGE, FILLED),
            "mean": Column(mean_of_range(_STEP, SAGA, *_STEPS), GREY, TEXT, unit="s"),
            "P50": Column(f"{quantile_of_range(0.5, _STEP, SAGA, *_STEPS)} >= 0", GREY, TEXT, unit="s"),
            "P95": Column(f"{quantile_of_range(0.95, _STEP, SAGA, *_STEPS)} >= 0", BLUE, GAUGE, unit="s", width=480),
        },
        text="Each row is a step's call (do) or its compensation (undo) in the shown range; the slowest comes "
        "first. The times are of one attempt.",
        sort=("P95", True),
    )
    return with_row_list(with_list(panel), "${__data.fields.saga}").height(14)
