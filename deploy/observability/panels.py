"""The kinds of panel in use, each with the look that all of its kind share."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, TypeVar

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.common import StackingConfig as Stacking
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BarGaugeNamePlacement,
    BarGaugeSizing,
    BigValueColorMode,
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.observability.links import sagas_in

LOOK = "Show these sagas"
Panel = TypeVar("Panel", TimeSeries, Stat, BarGauge, Table)

DATASOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "text"
#: What a status means has one colour everywhere.
STATUS_COLOURS = {
    "^(completed|succeeded|2..)$": GREEN,
    "^(compensated|compensations|4..)$": ORANGE,
    "^(stuck|5..|none)$": RED,
    "^(failed|refused|unknown|exhausted)$": PURPLE,
    "^(started|forward|do)$": BLUE,
}
CALM: Mapping[float, str] = {0: GREEN}
#: Grafana's own units for these say "ops", and a saga is no operation.
PER_SECOND, PER_MINUTE = "suffix:/s", "suffix:/min"


def lines(title: str, queries: Mapping[str, str], *, unit: str, says: str, stacked: bool = False) -> TimeSeries:
    """Over time. queries: expression by legend."""
    panel = (
        TimeSeries()
        .min(0)
        .line_width(2)
        .fill_opacity(60 if stacked else 8)
        .span_nulls(True)
        .legend(_legend(LegendPlacement.BOTTOM))
        .no_value("nothing happened")
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if stacked:
        panel.stacking(Stacking().mode(StackingMode.NORMAL))
    for pattern, colour in STATUS_COLOURS.items():
        panel.override_by_regexp(pattern, [fixed(colour)])
    for letter, (legend, expr) in zip(ascii_uppercase, queries.items(), strict=False):
        panel.with_target(Dataquery().expr(expr).legend_format(legend).range().ref_id(letter))
    return _common(panel, title, unit, says).span(8).height(8)


def wide(panel: TimeSeries, span: int = 12) -> TimeSeries:
    """Give it so much of a row that the legend has room beside the lines, and cuts nothing off below them."""
    return panel.span(span).legend(_legend(LegendPlacement.RIGHT))


def limited(panel: TimeSeries, limit: float) -> TimeSeries:
    """Draw a line where it becomes too much, which is always in sight."""
    dashed = GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(thresholds({0: GREEN, limit: RED})).thresholds_style(dashed).axis_soft_max(1.25 * limit)


def number(title: str, expr: str, *, unit: str, says: str, steps: Mapping[float, str] | None = None) -> Stat:
    """One number as it is now, or over the whole range. steps: colour from each value on."""
    panel = (
        Stat()
        .with_target(Dataquery().expr(expr).instant().ref_id("A"))
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.BACKGROUND if steps else BigValueColorMode.VALUE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(thresholds(steps or CALM))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .no_value("none")
    )
    return _common(panel, title, unit, says).span(4).height(4)


def bars(
    title: str, expr: str, legend: str, *, unit: str, says: str, steps: Mapping[float, str] | None = None
) -> BarGauge:
    """One bar a series, as it is now or over the whole range."""
    panel = (
        BarGauge()
        .with_target(Dataquery().expr(expr).legend_format(legend).instant().ref_id("A"))
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .name_placement(BarGaugeNamePlacement.LEFT)
        .sizing(BarGaugeSizing.MANUAL)
        .min_viz_height(18)
        .max_viz_height(28)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(thresholds(steps or CALM))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .min(0)
        .no_value("none")
    )
    return _common(panel, title, unit, says).span(8).height(8)


def table(title: str, queries: Sequence[str], *, says: str) -> Table:
    """One row for each set of labels; the value of the first query is column `Value #A`, and so on."""
    panel = Table()
    for letter, expr in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(Dataquery().expr(expr).instant().format(PromQueryFormat.TABLE).ref_id(letter))
    return _common(panel, title, "short", says).span(24).height(12)


def with_list(panel: Panel, **also: str) -> Panel:
    """Lead from the panel's title to the admin view's list of the sagas chosen above."""
    return panel.links([_link(sagas_in("${saga:csv}", orchestrator="${orchestrator}", **also))])


def with_row_list(panel: Panel, saga: str, **also: str) -> Panel:
    """Lead from what is clicked on to the admin view's list. saga: Grafana's name for that row's or series' own."""
    return panel.data_links([_link(sagas_in(saga, orchestrator="${orchestrator}", **also))])


def thresholds(steps: Mapping[float, str]) -> ThresholdsConfig:
    first, *others = steps.items()
    # The first step reaches down to minus infinity, which JSON writes as null.
    made = [Threshold(value=None, color=first[1]), *(Threshold(value=value, color=colour) for value, colour in others)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def fixed(colour: str) -> DynamicConfigValue:
    return setting("color", {"mode": "fixed", "fixedColor": colour})


def setting(name: str, value: Any) -> DynamicConfigValue:
    return DynamicConfigValue(id_val=name, value=value)


def _common(panel: Panel, title: str, unit: str, says: str) -> Panel:
    return panel.title(title).description(says).unit(unit).datasource(DATASOURCE)


def _legend(placement: LegendPlacement) -> VizLegendOptions:
    """Return a legend sorted by the largest value, because not all entries may be in sight."""
    legend = VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(placement).show_legend(True)
    return legend.calcs(["lastNotNull", "max"]).sort_by("Last *").sort_desc(True)


def _link(url: str) -> DashboardLink:
    return DashboardLink(LOOK).type(DashboardLinkType.LINK).url(url).target_blank(True)
