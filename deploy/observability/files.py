"""The dashboards and Prometheus rules as files by their path."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.observability.alerts import MEASURED, OF_THE_BUDGET
from deploy.observability.budget import budget_rules
from deploy.observability.dashboards import dashboards
from deploy.observability.tables import table_rules
from diagrams.generated import GeneratedFiles
from machines.facts import facts
from machines.saga import Saga

DASHBOARDS, RULES = Path("deploy/grafana/dashboards"), Path("deploy/prometheus/rules")
CHART_DASHBOARDS, CHART_RULES = Path("deploy/helm/dashboards"), Path("deploy/helm/rules")
GENERATED = "# Written by `make dashboards` from machines/ and deploy/observability/: change those, not this file.\n"


def files(sagas: Iterable[Saga]) -> dict[Path, str]:
    """Return the content of every file by its path relative to the repository's root."""
    known = facts(sagas)
    drawn = {
        f"{board.uid}.json": json.dumps(board, cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"
        for board in dashboards(known)
    }
    rules = {
        "alerts.yml": _rules("saga-alerts", [alert.as_rule() for alert in MEASURED]),
        # The rates and the alerts that read them are in one group, because Prometheus evaluates only the rules of one
        # group one after the other.
        "budget.yml": _rules("saga-budget", [*budget_rules(), *(alert.as_rule() for alert in OF_THE_BUDGET)]),
        "tables.yml": _rules("saga-tables", table_rules()),
    }
    # The chart has the same files, because Helm reads no file outside of a chart.
    places = ((DASHBOARDS, drawn), (CHART_DASHBOARDS, drawn), (RULES, rules), (CHART_RULES, rules))
    return {folder / name: text for folder, texts in places for name, text in texts.items()}


class _Dumper(yaml.SafeDumper):
    """A YAML dumper that writes multi-line strings as blocks, so that queries are readable."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _rules(group: str, rules: list[dict[str, Any]]) -> str:
    content = {"groups": [{"name": group, "rules": rules}]}
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=116)
    return GENERATED + text


OBSERVABILITY = GeneratedFiles(
    module="deploy.observability",
    description="Write the dashboards and Prometheus rules in deploy/.",
    folders=(DASHBOARDS, CHART_DASHBOARDS, RULES, CHART_RULES),
    render=files,
    outdated="is not what machines/ and deploy/observability/ say now",
    obsolete="is of nothing any more",
    fix="run `make dashboards` and commit what it writes",
)
