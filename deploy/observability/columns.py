"""Table panels: each column is one query, each row is one set of labels."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import NamedTuple

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.models.common import TableCellHeight
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from deploy.observability.links import sagas_in
from deploy.observability.panels import LINK_TITLE, fixed, setting, table

GAUGE = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
TEXT = {"type": "color-text"}
FILLED = {"type": "color-background", "mode": "basic"}


class Column(NamedTuple):
    """A column of a table panel."""

    expr: str
    colour: str
    cell: Mapping[str, str]
    unit: str = "short"
    width: int = 110
    maximum: float | None = None  # the value of a full gauge; None: the largest value of the column
    filters: Mapping[str, str] | None = None  # a click lists the row's sagas with these filters


def columns(
    title: str, labels: Sequence[str], queries: Mapping[str, Column], *, text: str, sort: tuple[str, bool]
) -> Table:
    """Return a table panel.

    labels: the shown labels; the label `saga` is always present, because the links need it.
    sort: the column to sort by, and True to start with its largest value.
    """
    panel = table(title, [column.expr for column in queries.values()], text=text)
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
    if column.filters is not None:
        url = sagas_in("${__data.fields.saga}", orchestrator="${orchestrator}", **column.filters)
        drawn.append(setting("links", [{"title": LINK_TITLE, "url": url, "targetBlank": True}]))
    if column.cell is GAUGE:
        return [*drawn, setting("min", 0), *([] if column.maximum is None else [setting("max", column.maximum)])]
    zero = {"type": "value", "options": {"0": {"text": "·", "color": "transparent"}}}
    return [*drawn, setting("mappings", [zero])]
