"""The centre piece: where sagas are and how far they get, step by step in the table's own order.

Read downwards: the green bar of a saga shrinks where sagas are lost. Read across: what becomes of those that are lost,
and who stands in the step now, since when. Red means that a person must decide.
"""

import math

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.table import Panel as Table

from deploy.observability.columns import FILLED, GAUGE, TEXT, Column, columns
from deploy.observability.facts import Facts
from deploy.observability.links import NOT_COMPLETED, UNFINISHED
from deploy.observability.panels import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, bars, fixed, with_list, with_row_list
from deploy.observability.promql import SAGA, count, gauge
from machines.transitions import Phase

_STEP = 'max by (saga, step, place) (saga_step_info{saga=~"$saga"})'


def _finished(status: str) -> str:
    return count("saga_steps_total", f'{SAGA},status="{status}"', "saga", "step")


def _reached() -> str:
    """Give the share of those that started; whoever started before the range shown must not make it more than all."""
    begun = count("saga_total", f'{SAGA},status="started"', "saga")
    return f"clamp_max({_finished('completed')} / on (saga) group_left () ({begun} > 0), 1)"


def _standing(phase: Phase) -> str:
    there = gauge("saga_current", SAGA, "saga", "state")
    here = f'(saga_dwell_limit_seconds{{phase="{phase.value}"}} > bool 0)'
    return f"sum by (saga, step) ({there} * on (saga, state) group_right () {here})"


def _oldest() -> str:
    ages = gauge("saga_oldest_age_seconds", SAGA, "saga", "state")
    return f"max by (saga, step) ({ages} * on (saga, state) group_right () (saga_dwell_limit_seconds > bool 0))"


def _each_step(expr: str) -> str:
    """Give a row to each step of the tables, 0 where nothing has been counted yet."""
    return f"{_STEP} * on (saga, step) group_left () ({expr})\nor 0 * {_STEP}"


_COLUMNS = {
    "get this far": Column(_reached(), GREEN, GAUGE, unit="percentunit", width=320, most=1),
    "done": Column(_finished("completed"), GREEN, TEXT),
    "refused or failed": Column(_finished("failed"), PURPLE, FILLED, width=140, leads={"status": NOT_COMPLETED}),
    "undone": Column(_finished("compensated"), ORANGE, FILLED, leads={"status": "compensated"}),
    "in it now": Column(_standing(Phase.FORWARD), BLUE, FILLED, leads={"status": "pending,running"}),
    "undoing now": Column(_standing(Phase.UNDOING), ORANGE, FILLED, leads={"status": "compensating"}),
    "stuck now": Column(_standing(Phase.STUCK), RED, FILLED, leads={"stuck": "true"}),
    "oldest there": Column(_oldest(), GREY, TEXT, unit="s"),
}


def step_distribution(known: Facts) -> Table:
    """Draw one row a step."""
    panel = columns(
        "Step distribution",
        ["place", "step"],
        {name: column._replace(expr=_each_step(column.expr)) for name, column in _COLUMNS.items()},
        says="Each row is a step, in the table's order. How many get this far, were done, failed and undone is of the "
        "range shown, the rest is now. The green bar shrinks where sagas are lost; red waits for a person.",
        sort=("place", False),
    )
    return with_row_list(with_list(panel), "${__data.fields.saga}").height(_height(len(known.steps)))


def _height(rows: int) -> int:
    """Give the height, in units of Grafana's grid, at which no row is out of sight."""
    row_px, above_px, unit_px = 36, 90, 38
    return math.ceil((rows * row_px + above_px) / unit_px)


def standing_now(known: Facts) -> BarGauge:
    """Draw one bar for each state in which an unfinished saga is."""
    panel = bars(
        "Where unfinished sagas are",
        f"sort_desc({gauge('saga_current', SAGA, 'saga', 'state')} > 0)",
        "{{saga}} {{state}}",
        unit="short",
        says="Orange is being undone, red waits for a person.",
        steps={0: BLUE},
    ).no_value("every saga is finished")
    for phase, colour in ((Phase.UNDOING, ORANGE), (Phase.STUCK, RED)):
        panel.override_by_regexp(f".* ({'|'.join(known.named(phase))})$", [fixed(colour)])
    panel = with_list(panel, status=UNFINISHED)
    return with_row_list(panel, "${__field.labels.saga}", state="${__field.labels.state}").height(9)
