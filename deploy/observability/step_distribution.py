"""The step distribution: how far the sagas get and where they are, step by step in the order of the definition.

Read downwards: the green bar of a saga shrinks at the steps where sagas fail. Read across: the outcomes of each step,
the sagas in the step now, and the age of the oldest. Red means that an operator must decide.
"""

import math

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.table import Panel as Table

from deploy.observability.columns import FILLED, GAUGE, TEXT, Column, columns
from deploy.observability.links import NOT_COMPLETED, UNFINISHED
from deploy.observability.panels import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, bars, fixed, with_list, with_row_list
from deploy.observability.promql import SAGA, count, gauge
from machines.facts import Facts
from machines.transitions import Phase

_STEP = 'max by (saga, step, place) (saga_step_info{saga=~"$saga"})'


def _finished(status: str) -> str:
    return count("saga_steps_total", f'{SAGA},status="{status}"', "saga", "step")


def _reached() -> str:
    """Return the query for the share of the started sagas that have finished each step.

    The share is limited to 1, because sagas that started before the shown range can finish a step within it.
    """
    started = count("saga_total", f'{SAGA},status="started"', "saga")
    return f"clamp_max({_finished('completed')} / on (saga) group_left () ({started} > 0), 1)"


def _standing(phase: Phase) -> str:
    there = gauge("saga_current", SAGA, "saga", "state")
    here = f'(saga_dwell_limit_seconds{{phase="{phase.value}"}} > bool 0)'
    return f"sum by (saga, step) ({there} * on (saga, state) group_right () {here})"


def _oldest() -> str:
    ages = gauge("saga_oldest_age_seconds", SAGA, "saga", "state")
    return f"max by (saga, step) ({ages} * on (saga, state) group_right () (saga_dwell_limit_seconds > bool 0))"


def _each_step(expr: str) -> str:
    """Return the query with one row for each step of the definitions; a step without a count has 0."""
    return f"{_STEP} * on (saga, step) group_left () ({expr})\nor 0 * {_STEP}"


_COLUMNS = {
    "get this far": Column(_reached(), GREEN, GAUGE, unit="percentunit", width=320, maximum=1),
    "done": Column(_finished("completed"), GREEN, TEXT),
    "refused or failed": Column(_finished("failed"), PURPLE, FILLED, width=140, filters={"status": NOT_COMPLETED}),
    "undone": Column(_finished("compensated"), ORANGE, FILLED, filters={"status": "compensated"}),
    "in it now": Column(_standing(Phase.FORWARD), BLUE, FILLED, filters={"status": "pending,running"}),
    "undoing now": Column(_standing(Phase.UNDOING), ORANGE, FILLED, filters={"status": "compensating"}),
    "stuck now": Column(_standing(Phase.STUCK), RED, FILLED, filters={"stuck": "true"}),
    "oldest there": Column(_oldest(), GREY, TEXT, unit="s"),
}


def step_distribution(known: Facts) -> Table:
    """Return the table with one row per step."""
    panel = columns(
        "Step distribution",
        ["place", "step"],
        {name: column._replace(expr=_each_step(column.expr)) for name, column in _COLUMNS.items()},
        text="Each row is a step, in the order of the definition. The first four figures cover the shown range; "
        "the others show the present. The green bar shrinks where sagas fail; red waits for an operator.",
        sort=("place", False),
    )
    return with_row_list(with_list(panel), "${__data.fields.saga}").height(_height(len(known.steps)))


def _height(rows: int) -> int:
    """Return the panel's height in units of Grafana's grid; all rows are visible."""
    row_px, above_px, unit_px = 36, 90, 38
    return math.ceil((rows * row_px + above_px) / unit_px)


def standing_now(known: Facts) -> BarGauge:
    """Return the panel with one bar per state that contains unfinished sagas."""
    panel = bars(
        "Where unfinished sagas are",
        f"sort_desc({gauge('saga_current', SAGA, 'saga', 'state')} > 0)",
        "{{saga}} {{state}}",
        unit="short",
        text="Orange sagas are being undone, red ones wait for an operator.",
        steps={0: BLUE},
    ).no_value("all sagas have ended")
    for phase, colour in ((Phase.UNDOING, ORANGE), (Phase.STUCK, RED)):
        panel.override_by_regexp(f".* ({'|'.join(known.named(phase))})$", [fixed(colour)])
    panel = with_list(panel, status=UNFINISHED)
    return with_row_list(panel, "${__field.labels.saga}", state="${__field.labels.state}").height(9)
