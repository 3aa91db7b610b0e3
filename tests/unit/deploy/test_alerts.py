"""Each alert fires only after its time, and clears. promtool runs the cases of rules/<alert>.yml."""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from app.telemetry.table_gauges import TableGauges
from deploy.observability.alerts import ALERTS
from diagrams.generated import ROOT
from machines.discovery import discover
from machines.facts import facts
from machines.transitions import Phase

DEPLOY, TESTS, RUNBOOKS = ROOT / "deploy", Path(__file__).parent / "rules", ROOT / "docs" / "runbooks"
NAMES = {alert.name for alert in ALERTS}
STATES = facts(discover()).states


def promtool(*arguments: object) -> str:
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_each_alert_has_a_runbook_and_a_test_and_none_is_unused():
    assert {page.stem for page in RUNBOOKS.glob("*")} == NAMES | {"README"}
    assert {file.stem for file in TESTS.glob("*")} == NAMES


def test_each_runbook_has_meaning_diagnosis_and_action():
    for page in RUNBOOKS.glob("Saga*.md"):
        headings = re.findall("^#+ (.*)$", page.read_text(), re.MULTILINE)
        assert headings == [page.stem, "What it means", "How to look", "What to do"]


def test_each_alert_has_the_annotations_that_a_person_needs():
    for rule in (alert.as_rule() for alert in ALERTS):
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description", "runbook_url"} <= rule["annotations"].keys()
        assert (ROOT / rule["annotations"]["runbook_url"]).exists()


def test_each_state_that_can_overstay_has_a_limit():
    expected = defaultdict(dict)
    for saga in discover():
        limits = {state.name: state.dwell_s for state in saga.states.values() if state.dwell_s is not None}
        expected[saga.name] |= limits  # all versions of a saga have the same alerts
    for name, limits in expected.items():
        assert {fact.state: fact.dwell_s for fact in STATES if fact.saga == name} == limits


def test_each_state_has_the_participant_that_it_waits_for():
    waits = {fact.state: fact.participant for fact in STATES if fact.saga == "checkout"}
    assert (waits["STOCK_RESERVE"], waits["REMBOURSEMENT"], waits["LIBERATION_STOCK"]) == ("client", "client", "stock")
    assert (waits["STUCK_ENREGISTRER_VENTE"], waits["STUCK_UNDO_PAYER"]) == ("ventes", "client")


@pytest.mark.programs
def test_promtool_accepts_configuration_and_rules():
    assert "rules found" in promtool("check", "rules", *sorted((DEPLOY / "prometheus/rules").glob("*.yml")))
    for config in ("prometheus.yml", "local.yml"):
        promtool("check", "config", DEPLOY / "prometheus" / config)


@pytest.mark.programs
@pytest.mark.parametrize("alert", sorted(NAMES))
def test_alert_fires_after_its_time_not_before_and_clears(alert):
    assert "SUCCESS" in promtool("test", "rules", TESTS / f"{alert}.yml")


@pytest.mark.programs
def test_each_state_of_each_table_has_its_own_limit(tmp_path):
    """The alert of a state fires one minute after the state's dwell limit, and not at the limit.

    A stuck state has the alert SagaStuck instead, which fires one minute after the saga is stuck.
    """
    ages = [
        {"series": f'saga_oldest_age_seconds{{saga="{fact.saga}", state="{fact.state}"}}', "values": "0+15x400"}
        for fact in STATES
    ]
    counts = [
        {"series": f'saga_current{{saga="{fact.saga}", state="{fact.state}"}}', "values": "1x400"} for fact in STATES
    ]
    limits = [
        {"series": sample(metric.name, metric.labels), "values": f"{metric.value:g}x400"}
        for family in TableGauges(discover()).collect()
        for metric in family.samples
    ]
    expected = [
        _expected(fact.saga, fact.state, alert, seconds, fires=fires)
        for fact in STATES
        for alert, seconds, fires in _moments(fact.phase is Phase.STUCK, fact.dwell_s)
    ]
    rules = [str(file) for file in (DEPLOY / "prometheus/rules").glob("*.yml")]
    test = {"interval": "15s", "input_series": ages + counts + limits, "promql_expr_test": expected}
    file = tmp_path / "limits.yml"
    file.write_text(json.dumps({"rule_files": rules, "evaluation_interval": "15s", "tests": [test]}))
    assert len(expected) > 2 * len(STATES)
    promtool("test", "rules", file)


def sample(name: str, labels: Mapping[str, str]) -> str:
    return f"{name}{{{', '.join(f'{label}={json.dumps(value)}' for label, value in labels.items())}}}"


def _moments(stuck, dwell_s):
    """Return triples: an alert, a time in seconds, and whether the alert must fire at that time."""
    if stuck:
        return [("SagaStuck", 45, False), ("SagaStuck", 75, True), ("SagaOverstayed", dwell_s + 300, False)]
    return [("SagaOverstayed", dwell_s, False), ("SagaOverstayed", dwell_s + 90, True), ("SagaStuck", 300, False)]


def _expected(saga, state, alert, seconds, *, fires):
    alerts = f'ALERTS{{alertname="{alert}",alertstate="firing",saga="{saga}",state="{state}"}}'
    labels = f'{{saga="{saga}", state="{state}"}}'
    samples = [{"labels": labels, "value": 1}] if fires else []
    return {"expr": f"sum by (saga, state) ({alerts})", "eval_time": f"{seconds:g}s", "exp_samples": samples}


def test_alertmanager_routes_only_alerts_that_exist():
    rules = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())["inhibit_rules"]
    matchers = [text for rule in rules for key in ("source_matchers", "target_matchers") for text in rule[key]]
    named = {name for text in matchers if "alertname" in text for name in re.findall(r"Saga\w+", text)}
    assert named <= NAMES
