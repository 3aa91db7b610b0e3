"""The dashboard Saga Errors: failures by step, by participant and by status code."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability import shared
from deploy.observability.alerts import FAILING
from deploy.observability.budget import BUDGET, ENDED, FAILED
from deploy.observability.links import NOT_COMPLETED
from deploy.observability.panels import GREEN, ORANGE, PER_MINUTE, RED, bars, limited, lines, number, setting, with_list
from deploy.observability.promql import INSTANCE, SAGA, TYPE, count, per_minute, rate, share
from deploy.observability.step_distribution import standing_now
from machines.facts import Facts

UID, TITLE = "saga-errors", "Saga Errors"


def panels(known: Facts) -> Iterator[Builder[Panel]]:
    yield shared.stuck_now().span(6)
    yield shared.success_rate().span(6)
    yield _budget_left().span(6)
    text = "Writes of former lease holders that were fenced, in the shown range."
    fenced = f"round({count('saga_fenced_writes_total', INSTANCE)})"
    yield number("Fenced writes", fenced, unit="short", text=text, steps={0: GREEN, 1: ORANGE}).span(6)
    yield shared.failures().span(9).height(9)
    yield standing_now(known).span(9)
    yield _breakers().span(6).height(9)
    yield shared.failure_rate()
    text = "Sagas that could not go forward, per minute, by the failed step."
    failed = per_minute("saga_failures_total", TYPE, "type", "step")
    panel = lines("Failures by step", {"{{type}} {{step}}": failed}, unit=PER_MINUTE, text=text)
    yield with_list(panel, status=NOT_COMPLETED)
    yield shared.compensations()
    broken = share(_calls("participant", selector=f'{INSTANCE},status_code=~"5..|none"'), _calls("participant"))
    text = "Calls with 5xx or no answer, which are in doubt. SagaParticipantFailing fires above the dashed line."
    panel = lines("Participants failing", {"{{participant}}": broken}, unit="percentunit", text=text)
    yield limited(panel, FAILING)
    text = "4xx are refusals and part of normal business; `none` means no answer."
    by_code = _calls("participant", "status_code")
    yield lines("Answers by status code", {"{{participant}} {{status_code}}": by_code}, unit="reqps", text=text)
    again = per_minute("saga_retries_total", SAGA, "saga", "step", "direction")
    text = "Attempts in doubt that were sent again, per minute."
    yield lines("Retries", {"{{saga}} {{step}} {{direction}}": again}, unit=PER_MINUTE, text=text)


def _calls(*by: str, selector: str = INSTANCE) -> str:
    return rate("saga_participant_calls_total", selector, *by)


def _budget_left() -> Stat:
    failed = count("saga_total", f'{SAGA},status=~"{FAILED}"')
    used = share(failed, count("saga_total", f'{SAGA},status=~"{ENDED}"'))
    text = "The rest of the error budget (one in five may fail) in the shown range."
    steps = {-1: RED, 0: ORANGE, 0.25: GREEN}
    return number("Error budget left", f"1 - {used} / {BUDGET}", unit="percentunit", text=text, steps=steps)


def _breakers() -> BarGauge:
    """Return the panel of the circuit breakers: the worst state over all replicas."""
    expr = f"max by (participant) (saga_breaker_state{{{INSTANCE}}})"
    text = "Open: repeated calls failed, so no calls are sent to the participant."
    panel = bars("Breakers", expr, "{{participant}}", unit="short", text=text, steps={0: GREEN, 1: ORANGE, 2: RED})
    closed, half_open, opened = ({"text": text} for text in ("closed", "half open", "open"))
    names = [{"type": "value", "options": {"0": closed, "1": half_open, "2": opened}}]
    return panel.max(2).override_by_regexp(".*", [setting("mappings", names)])
