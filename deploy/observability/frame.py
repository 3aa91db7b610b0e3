"""The parts that all dashboards share: variables, links between the dashboards, and the refresh interval."""

from collections.abc import Iterable

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery, DashboardLink, QueryVariable, TextBoxVariable
from grafana_foundation_sdk.builders.dashboard import Dashboard as Builder
from grafana_foundation_sdk.cog.builder import Builder as Buildable
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    Panel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.observability.links import ORCHESTRATOR
from deploy.observability.panels import DATASOURCE, RED

TAG = "saga"


def framed(uid: str, title: str, panels: Iterable[Buildable[Panel]]) -> Dashboard:
    board = (
        Builder(title)
        .uid(uid)
        .tags([TAG])
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("10s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(_variable("saga", "Saga", "label_values(saga_current, saga)"))
        # The choice `All` has the value `.*`. A list of instances would miss an instance that starts after the page was
        # loaded.
        .with_variable(_variable("instance", "Instance", "label_values(saga_total, instance)").all_value(".*"))
        .with_variable(TextBoxVariable("orchestrator").label("Orchestrator").default_value(ORCHESTRATOR))
        .link(DashboardLink("Sagas").type(DashboardLinkType.DASHBOARDS).tags([TAG]).include_vars(True).keep_time(True))
    )
    board.annotation(_alerts())
    for panel in panels:
        board.with_panel(panel)
    return board.build()


def _alerts() -> AnnotationQuery:
    """Return an annotation that marks in every graph when an alert fired, with its name and instance."""
    firing = 'ALERTS{alertstate="firing",alertname=~"Saga.*"}'
    annotation = AnnotationQuery().name("Alerts").datasource(DATASOURCE).enable(True).hide(False)
    return annotation.icon_color(RED).expr(firing)


def _variable(name: str, label: str, query: str) -> QueryVariable:
    every = VariableOption(selected=True, text="All", value="$__all")
    return (
        QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(DATASOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(every)
    )
