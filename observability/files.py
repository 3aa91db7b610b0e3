"""Every file that is made here, by its path: what `python -m observability` writes and `--check` compares."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from machines.saga import Saga
from observability.alerts import MEASURED, OF_THE_BUDGET
from observability.budget import budget_rules
from observability.dashboards import dashboards
from observability.facts import facts
from observability.tables import table_rules

DASHBOARDS, RULES = Path("deploy/grafana/dashboards"), Path("deploy/prometheus/rules")
GENERATED = "# Written by `make dashboards` from machines/ and observability/: change those, not this.\n"
MEND = "run `make dashboards` and commit what it writes"


def files(sagas: Iterable[Saga]) -> dict[Path, str]:
    """Make everything; the paths are relative to the root of the repository."""
    known = facts(sagas)
    drawn = {
        DASHBOARDS / f"{board.uid}.json": json.dumps(board, cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"
        for board in dashboards(known)
    }
    return drawn | {
        RULES / "alerts.yml": _rules("saga-alerts", [alert.as_rule() for alert in MEASURED]),
        # One group, for only within one the rates are recorded before the alerts look at them.
        RULES / "budget.yml": _rules("saga-budget", [*budget_rules(), *(alert.as_rule() for alert in OF_THE_BUDGET)]),
        RULES / "tables.yml": _rules("saga-tables", table_rules(known)),
    }


def differences(root: Path, expected: Mapping[Path, str]) -> list[str]:
    """Say which file is missing, out of date, or left over."""
    found = []
    for path, content in sorted(expected.items()):
        file = root / path
        if not file.exists():
            found.append(f"{path} is missing: {MEND}")
        elif file.read_bytes() != content.encode():
            found.append(f"{path} is not what machines/ and observability/ say now: {MEND}")
    return found + [f"{path} is of nothing any more: {MEND}" for path in left_over(root, expected)]


def write(root: Path, expected: Mapping[Path, str]) -> int:
    """Write what differs and remove what is left over; return how many files there are."""
    for path in left_over(root, expected):
        (root / path).unlink()
    for path, content in expected.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.encode())
    return len(expected)


def left_over(root: Path, expected: Mapping[Path, str]) -> list[Path]:
    there = [file.relative_to(root) for folder in (DASHBOARDS, RULES) for file in (root / folder).glob("*.*")]
    return sorted(path for path in there if path not in expected)


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as such, so that queries can be read."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _rules(group: str, rules: list[dict[str, Any]]) -> str:
    content = {"groups": [{"name": group, "rules": rules}]}
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=116)
    return GENERATED + text
