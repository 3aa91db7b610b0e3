"""The kinds of panels, each with its common style."""

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

LINK_TITLE = "Show these sagas"
Panel = TypeVar("Panel", TimeSeries, Stat, BarGauge, Table)

DATASOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "text"
#: Each status has the same colour in all panels.
STATUS_COLOURS = {
    "^(completed|succeeded|2..)$": GREEN,
    "^(compensated|compensations|4..)$": ORANGE,
    "^(stuck|5..|none)$": RED,
    "^(failed|refused|unknown|exhausted)$": PURPLE,
    "^(started|forward|do)$": BLUE,
}
CALM: Mapping[float, str] = {0: GREEN}
#: Grafana's own units for rates show "ops", which is wrong for sagas.
PER_SECOND, PER_MINUTE = "suffix:/s", "suffix:/min"


def lines(title: str, queries: Mapping[str, str], *, unit: str, text: str, stacked: bool = False) -> TimeSeries:
    """Return a graph over time. `queries`: expression by legend."""
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
    return _common(panel, title, unit, text).span(8).height(8)


def wide(panel: TimeSeries, span: int = 12) -> TimeSeries:
    """Return the panel with its legend at the right, and wide enough for the legend."""
    return panel.span(span).legend(_legend(LegendPlacement.RIGHT))


def limited(panel: TimeSeries, limit: float) -> TimeSeries:
    """Add a dashed line at the limit; the axis always includes it."""
    dashed = GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(thresholds({0: GREEN, limit: RED})).thresholds_style(dashed).axis_soft_max(1.25 * limit)


def number(title: str, expr: str, *, unit: str, text: str, steps: Mapping[float, str] | None = None) -> Stat:
    """Return a panel with one number. `steps`: each colour with the value from which it applies."""
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
    return _common(panel, title, unit, text).span(4).height(4)


def bars(
    title: str, expr: str, legend: str, *, unit: str, text: str, steps: Mapping[float, str] | None = None
) -> BarGauge:
    """Return a panel with one bar per series."""
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
    return _common(panel, title, unit, text).span(8).height(8)


def table(title: str, queries: Sequence[str], *, text: str) -> Table:
    """Return a table with one row per set of labels; the value of the first query is column `Value #A`, and so on."""
    panel = Table()
    for letter, expr in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(Dataquery().expr(expr).instant().format(PromQueryFormat.TABLE).ref_id(letter))
    return _common(panel, title, "short", text).span(24).height(12)


def with_list(panel: Panel, **also: str) -> Panel:
    """Link the panel's title to the admin page's list of the selected sagas."""
    return panel.links([_link(sagas_in("${saga:csv}", orchestrator="${orchestrator}", **also))])


def with_row_list(panel: Panel, saga: str, **also: str) -> Panel:
    """Link each row or series to the admin page's list. `saga`: Grafana's variable that holds the row's saga type."""
    return panel.data_links([_link(sagas_in(saga, orchestrator="${orchestrator}", **also))])


def thresholds(steps: Mapping[float, str]) -> ThresholdsConfig:
    first, *others = steps.items()
    # The first step starts at minus infinity, which is null in JSON.
    made = [Threshold(value=None, color=first[1]), *(Threshold(value=value, color=colour) for value, colour in others)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def fixed(colour: str) -> DynamicConfigValue:
    return setting("color", {"mode": "fixed", "fixedColor": colour})


def setting(name: str, value: Any) -> DynamicConfigValue:
    return DynamicConfigValue(id_val=name, value=value)


def _common(panel: Panel, title: str, unit: str, text: str) -> Panel:
    return panel.title(title).description(text).unit(unit).datasource(DATASOURCE)


def _legend(placement: LegendPlacement) -> VizLegendOptions:
    """Return a legend sorted by the last value, because long legends are cut off."""
    legend = VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(placement).show_legend(True)
    return legend.calcs(["lastNotNull", "max"]).sort_by("Last *").sort_desc(True)


def _link(url: str) -> DashboardLink:
    return DashboardLink(LINK_TITLE).type(DashboardLinkType.LINK).url(url).target_blank(True)
