"""Tables whose every column is a query of its own, and whose rows are the sets of labels that these give."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import NamedTuple

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.models.common import TableCellHeight
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from deploy.observability.links import sagas_in
from deploy.observability.panels import LOOK, fixed, setting, table

GAUGE = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
TEXT = {"type": "color-text"}
FILLED = {"type": "color-background", "mode": "basic"}


class Column(NamedTuple):
    """What a column shows, and how it is drawn where there is something to see.

    most: what fills a gauge, the highest of the column if it is not given.
    leads: what a click on it asks the admin view for, besides the row's saga.
    """

    expr: str
    colour: str
    cell: Mapping[str, str]
    unit: str = "short"
    width: int = 110
    most: float | None = None
    leads: Mapping[str, str] | None = None


def columns(
    title: str, labels: Sequence[str], queries: Mapping[str, Column], *, says: str, sort: tuple[str, bool]
) -> Table:
    """Return a table panel.

    labels: those shown; `saga` is always among them, because a link needs it. sort: the column, largest first.
    """
    panel = table(title, [column.expr for column in queries.values()], says=says)
    by, descending = sort
    panel.decimals(0).cell_height(TableCellHeight.SM)
    panel.sort_by([TableSortByFieldState().display_name(by).desc(descending)])
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    renamed = {f"Value #{letter}": name for letter, name in zip(ascii_uppercase, queries, strict=False)}
    order = {name: index for index, name in enumerate([*labels, *renamed])}
    organize = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": renamed}
    panel.with_transformation(DataTransformerConfig(id_val="organize", options=organize))
    if "saga" not in labels:
        panel.override_by_name("saga", [setting("custom.hidden", True)])
    for name, column in queries.items():
        panel.override_by_name(name, _drawn(column))
    return panel


def _drawn(column: Column) -> list[DynamicConfigValue]:
    drawn = [
        setting("custom.cellOptions", dict(column.cell)),
        setting("custom.width", column.width),
        setting("unit", column.unit),
        fixed(column.colour),
    ]
    if column.unit == "s":
        drawn.append(setting("decimals", 1))
    if column.leads is not None:
        url = sagas_in("${__data.fields.saga}", orchestrator="${orchestrator}", **column.leads)
        drawn.append(setting("links", [{"title": LOOK, "url": url, "targetBlank": True}]))
    if column.cell is GAUGE:
        return [*drawn, setting("min", 0), *([] if column.most is None else [setting("max", column.most)])]
    zero = {"type": "value", "options": {"0": {"text": "·", "color": "transparent"}}}
    return [*drawn, setting("mappings", [zero])]
