"""Rules for every panel of every dashboard. tests/e2e/test_prometheus.py checks that the queries find data."""

import re

import pytest
import yaml

from deploy.observability.dashboards import dashboards
from diagrams.generated import ROOT
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.facts import facts

KNOWN = facts(discover())
BOARDS = {board.title: board for board in dashboards(KNOWN)}
PANELS = [(title, panel) for title, board in BOARDS.items() for panel in board.panels]
EXPRESSIONS = {target.expr for _, panel in PANELS for target in panel.targets}
GAUGES = ("saga_current", "saga_oldest_age_seconds", "saga_overdue_seconds", "saga_replicas")
COUNTER = re.compile(r"(\w+(?:_total|_bucket|_count|_sum))\{")


def named(title, *, contain):
    titles = [panel.title.lower() for panel in BOARDS[title].panels]
    return [words for words in contain if not any(words in found for found in titles)]


def test_the_dashboards_have_the_names_of_the_documents():
    assert list(BOARDS) == [
        "Observabilité des Sagas - LOG430 Lab6", "Saga Overview", "Saga Performance", "Saga Errors",
        "Saga Throughput", "Golden signals",
    ]  # fmt: skip


def test_the_panels_of_the_documents_are_there():
    lab6 = ("start rate", "total", "p50, p95, mean", "step distribution", "compensations", "progression by status")
    assert named("Observabilité des Sagas - LOG430 Lab6", contain=lab6) == []
    overview = ("sagas by type", "active", "failures", "compensations", "duration", "success rate")
    assert named("Saga Overview", contain=(*overview, "step rate by type and status", "slowest", "failure rate")) == []
    assert named("Golden signals", contain=("latency", "traffic", "errors", "saturation")) == []


def test_the_panels_of_001_read_commande_etat_total_by_that_name():
    reading = {
        panel.title: [target.expr for target in panel.targets]
        for panel in BOARDS["Observabilité des Sagas - LOG430 Lab6"].panels
        if any("commande_etat_total{" in target.expr for target in panel.targets)
    }
    assert list(reading) == ["Checkouts by state", "Checkout failures", "Checkout transitions"]
    assert all("by (etat)" in expr for expressions in reading.values() for expr in expressions)


def test_the_failure_panel_of_001_names_each_failure_of_the_checkout():
    (panel,) = (panel for _, panel in PANELS if panel.title == "Checkout failures")
    (asked,) = set(re.findall(r'etat=~"([^"]+)"', panel.targets[0].expr))
    failures = {step.refused for step in CHECKOUT.steps if step.refused}
    assert {"ECHEC_STOCK", "ECHEC_PAIEMENT", "ECHEC_ENREGISTREMENT"} <= failures
    assert failures <= set(asked.split("|")) <= set(CHECKOUT.states) - {CHECKOUT.completed, CHECKOUT.compensated}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_fill_the_grid_without_overlap(board):
    taken = [
        (x, y)
        for panel in board.panels
        for x in range(panel.grid_pos.x, panel.grid_pos.x + panel.grid_pos.w)
        for y in range(panel.grid_pos.y, panel.grid_pos.y + panel.grid_pos.h)
    ]
    assert len(taken) == len(set(taken))
    assert {x for x, _ in taken} == set(range(24))
    assert len(taken) == 24 * (max(y for _, y in taken) + 1), "there is a hole"


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_dashboards_have_saga_and_instance_and_refresh_every_10_s(board):
    chosen = {variable.name: variable for variable in board.templating.list_val}
    assert [chosen[name].multi and chosen[name].include_all for name in ("saga", "instance")] == [True, True]
    assert chosen["saga"].all_value is None, "links need the names, and no pattern"
    assert board.refresh == "10s"


def test_every_panel_uses_the_provisioned_datasource():
    provisioned = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    uid = provisioned["datasources"][0]["uid"]
    assert {panel.datasource.uid for _, panel in PANELS} == {uid}
    assert all(panel.description for _, panel in PANELS)


def test_every_expression_uses_the_chosen_saga_or_instance():
    assert [expr for expr in EXPRESSIONS if "$saga" not in expr and "$instance" not in expr] == []


def test_counters_are_used_only_as_rates_or_increases():
    raw = [expr for expr in EXPRESSIONS for found in COUNTER.finditer(expr) if not _inside(expr, found.start())]
    assert raw == []


def _inside(expr, start):
    return expr[:start].endswith(("rate(", "increase("))


@pytest.mark.parametrize("gauge", GAUGES)
def test_gauge_with_one_value_for_all_replicas_is_not_summed(gauge):
    uses = [
        expr[: found.start()] for expr in EXPRESSIONS for found in re.finditer(rf"\b{gauge}\{{", expr)
    ]  # fmt: skip
    assert uses
    assert [use for use in uses if not re.search(r"max( by \([^)]*\))? \($", use)] == []


def test_link_uses_only_labels_of_its_series():
    """Grafana leaves any other label in the link empty. tests/integration/admin/test_links.py follows each link."""
    for title, panel in PANELS:
        for link in panel.field_config.defaults.links or ():
            url = link["url"] if isinstance(link, dict) else link.url
            named = re.findall(r"\$\{__field\.labels\.(\w+)\}", url)
            legends = [target.legend_format for target in panel.targets]
            assert all(f"{{{{{label}}}}}" in legend for label in named for legend in legends), (title, panel.title)


def test_request_panels_exclude_the_participants_requests():
    requests = [expr for expr in EXPRESSIONS if "flask_http" in expr]
    selectors = [found for expr in requests for found in re.findall(r"flask_http\w+\{([^}]*)\}", expr)]
    assert selectors
    assert [one for one in selectors if not one.startswith('job="saga-orchestrator",')] == []


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_dashboard_shows_when_an_alert_fired(board):
    assert [(one.name, one.enable, one.expr) for one in board.annotations.list_val] == [
        ("Alerts", True, 'ALERTS{alertstate="firing",alertname=~"Saga.*"}')
    ]


def test_the_distribution_has_a_row_for_every_step_in_the_tables_order():
    for saga in discover():
        rows = sorted(fact.place for fact in KNOWN.steps if fact.saga == saga.name)
        steps = {fact.place: fact.step for fact in KNOWN.steps if fact.saga == saga.name}
        assert [steps[row] for row in rows] == [step.name for step in saga.steps]
