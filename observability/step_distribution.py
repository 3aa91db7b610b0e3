"""The centre piece: where sagas are and how far they get, step by step in the table's own order.

Read downwards: the green bar of a saga shrinks where sagas are lost. Read across: what becomes of those that are lost,
and who stands in the step now, since when. Red means that a person must decide.
"""

import math
from string import ascii_uppercase
from typing import NamedTuple

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.models.common import TableCellHeight
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from machines.rows import Phase
from observability.facts import Facts
from observability.panels import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    bars,
    fixed,
    setting,
    table,
    with_list,
    with_row_list,
)
from observability.promql import SAGA, TYPE, as_saga, count, gauge

_STEP = 'max by (saga, step, place) (saga_step_info{saga=~"$saga"})'
_GAUGE = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
_TEXT = {"type": "color-text"}
_FILLED = {"type": "color-background", "mode": "basic"}


def _finished(status: str) -> str:
    by_step = as_saga(count("saga_steps_total", f'{TYPE},status="{status}"', "type", "step"))
    return f"sum by (saga, step) ({by_step})"


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


class _Column(NamedTuple):
    """What a column shows, and how it is drawn where there is something to see."""

    expr: str
    colour: str
    cell: dict[str, str]
    unit: str = "short"
    width: int = 110


_COLUMNS = {
    "get this far": _Column(_reached(), GREEN, _GAUGE, unit="percentunit", width=320),
    "done": _Column(_finished("completed"), GREEN, _TEXT),
    "refused or failed": _Column(_finished("failed"), PURPLE, _FILLED, width=140),
    "undone": _Column(_finished("compensated"), ORANGE, _FILLED),
    "in it now": _Column(_standing(Phase.FORWARD), BLUE, _FILLED),
    "undoing now": _Column(_standing(Phase.UNDOING), ORANGE, _FILLED),
    "stuck now": _Column(_standing(Phase.STUCK), RED, _FILLED),
    "oldest there": _Column(_oldest(), GREY, _TEXT, unit="s"),
}


def step_distribution(known: Facts) -> Table:
    """Draw one row a step."""
    panel = table(
        "Step distribution",
        [_each_step(column.expr) for column in _COLUMNS.values()],
        says="Each row is a step, in the table's order. How many get this far, were done, failed and undone is of the "
        "range shown, the rest is now. The green bar shrinks where sagas are lost; red waits for a person.",
    )
    panel.decimals(0).cell_height(TableCellHeight.SM).sort_by([TableSortByFieldState().display_name("place")])
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    renamed = {f"Value #{letter}": column for letter, column in zip(ascii_uppercase, _COLUMNS, strict=False)}
    order = {name: index for index, name in enumerate(["place", "step", *renamed])}
    organize = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": renamed}
    panel.with_transformation(DataTransformerConfig(id_val="organize", options=organize))
    # Not left out: a row's link asks for it.
    panel.override_by_name("saga", [setting("custom.hidden", True)])
    for name, column in _COLUMNS.items():
        panel.override_by_name(name, _drawn(column))
    return with_row_list(with_list(panel), "${__data.fields.saga}").height(_height(len(known.steps)))


def _drawn(column: _Column) -> list[DynamicConfigValue]:
    drawn = [
        setting("custom.cellOptions", column.cell),
        setting("custom.width", column.width),
        setting("unit", column.unit),
        fixed(column.colour),
    ]
    if column.cell is _GAUGE:
        return [*drawn, setting("min", 0), setting("max", 1)]
    zero = {"type": "value", "options": {"0": {"text": "·", "color": "transparent"}}}
    return [*drawn, setting("mappings", [zero])]


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
    return with_row_list(with_list(panel), "${__field.labels.saga}", state="${__field.labels.state}").height(9)
