"""002's performance: how long each step takes, and who lets us wait."""

from collections.abc import Iterator

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from observability import shared
from observability.facts import Facts
from observability.panels import bars, lines
from observability.promql import INSTANCE, SAGA, TYPE, mean, per_minute, quantile, quantile_of_range

UID, TITLE = "saga-performance", "Saga Performance"

_STEP, _CALL = "saga_step_duration_seconds", "saga_participant_call_duration_seconds"
_STEPS = ("saga", "step", "direction")


def panels(_: Facts) -> Iterator[Builder[Panel]]:
    step = "{{saga}} {{step}} {{direction}}"
    slowest = f"sort_desc({quantile_of_range(0.95, _STEP, SAGA, *_STEPS)} >= 0)"
    yield bars("Step P95", slowest, step, unit="s", says="95 % of the attempts were faster.").span(12).height(14)
    middle = f"sort_desc({quantile_of_range(0.5, _STEP, SAGA, *_STEPS)} >= 0)"
    yield bars("Step P50", middle, step, unit="s", says="Half of the attempts were faster.").span(12).height(14)
    over_time = {step: quantile(0.95, _STEP, SAGA, *_STEPS)}
    yield lines("Step P95 over time", over_time, unit="s", says="One attempt of the step.").span(12)
    yield lines("Step mean over time", {step: mean(_STEP, SAGA, *_STEPS)}, unit="s", says="One attempt.").span(12)
    by_type = {"{{type}}": quantile(0.95, "saga_duration_seconds", TYPE, "type")}
    yield lines("Saga duration P95 by type", by_type, unit="s", says="From the beginning of a saga to its end.")
    yield shared.durations()
    calls = {"{{participant}} {{endpoint}}": quantile(0.95, _CALL, INSTANCE, "participant", "endpoint")}
    yield lines("Participant P95", calls, unit="s", says="One HTTP call, of any saga.")
    yield shared.slowest_steps()
    again = {step: per_minute("saga_retries_total", SAGA, *_STEPS)}
    yield lines("Retries", again, unit="opm", says="Attempts that were sent again, a minute.")
    claims = {f"P{int(q * 100)}": quantile(q, "saga_claim_duration_seconds", INSTANCE) for q in (0.5, 0.95)}
    yield lines("Claim duration", claims, unit="s", says="One look for sagas that are due, in the database.")
