"""A real Prometheus with the configuration and rules of deploy/, and the queries of the dashboards."""

import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import requests
import yaml

from tests.e2e.servers import Program
from tests.support.servers import Participants, Server
from tests.support.waiting import free_port

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
#: The factor by which the durations in the rules are divided: a minute becomes two seconds.
FASTER = 30
_UNITS = {"s": 1, "m": 60, "h": 3600}
_DURATION = r"(\d+)([smh])"
#: Values for the variables in queries, in place of Grafana's.
VARIABLES = {"$__rate_interval": "10s", "$__range": "5m", "$saga": ".*", "$instance": ".*"}


class Query(NamedTuple):
    board: str
    panel: str
    expr: str
    instant: bool


class Prometheus(Program):
    """Prometheus with the files of deploy/ and shorter intervals, for these replicas and their participants."""

    def __init__(self, folder: Path, replicas: Iterable[Server], participants: Participants) -> None:
        port = free_port()
        command = ["prometheus", "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{port}"]
        super().__init__(folder, f"http://127.0.0.1:{port}", [*command, "--storage.tsdb.path=data", "--log.level=warn"])

        shutil.copytree(DEPLOY / "prometheus", folder, dirs_exist_ok=True)
        config = yaml.safe_load((folder / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        del config["alerting"]
        asked = next(job for job in config["scrape_configs"] if job["job_name"] == "participants")
        del asked["dns_sd_configs"]
        asked["static_configs"] = [{"targets": [participants.url.removeprefix("http://")]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        targets = [{"targets": [server.url.removeprefix("http://") for server in replicas]}]
        (folder / "targets" / "saga-orchestrator.yml").write_text(yaml.safe_dump(targets))
        for file in (folder / "rules").glob("*.yml"):
            file.write_text(yaml.safe_dump(_faster(yaml.safe_load(file.read_text()))))

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=2).ok
        except requests.ConnectionError:
            return False

    def query(self, path: str, **parameters: Any) -> Any:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", (answer, parameters)
        return answer["data"]

    def values(self, query: Query, end: float, seconds: float = 60) -> list[float]:
        """Return all values of all series of the result, without NaN."""
        expr = filled(query.expr)
        if query.instant:
            found = [series["value"] for series in self.query("query", query=expr, time=end)["result"]]
        else:
            data = self.query("query_range", query=expr, start=end - seconds, end=end, step=1)
            found = [value for series in data["result"] for value in series["values"]]
        return [number for _, text in found if not math.isnan(number := float(text))]

    def labels(self, query: Query, end: float, seconds: float = 60) -> list[dict[str, str]]:
        """Return the labels of each series of the result."""
        data = self.query("query_range", query=filled(query.expr), start=end - seconds, end=end, step=1)
        return [series["metric"] for series in data["result"]]

    def value(self, expr: str) -> float | None:
        found = self.query("query", query=filled(expr))["result"]
        return float(found[0]["value"][1]) if found else None

    def alerts(self) -> set[tuple[str, str, str]]:
        """Return the state, the name and the subject (such as a saga or a participant) of each alert."""
        return {
            (alert["state"], alert["labels"]["alertname"], _whom(alert["labels"]))
            for alert in self.query("alerts")["alerts"]
        }


def queries() -> Iterator[Query]:
    """Return every query of every panel of every dashboard."""
    for file in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield Query(board["title"], panel["title"], target["expr"], target.get("instant", False))


def filled(expr: str) -> str:
    for variable, value in VARIABLES.items():
        expr = expr.replace(variable, value)
    return expr


def _whom(labels: dict[str, str]) -> str:
    return " ".join(labels[name] for name in ("saga", "state", "participant", "instance") if name in labels)


def _faster(rules: dict[str, Any]) -> dict[str, Any]:
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = re.sub(rf"\[{_DURATION}\]", lambda found: f"[{_shorter(found)}]", rule["expr"])
            if "for" in rule:
                rule["for"] = re.sub(_DURATION, _shorter, rule["for"])
    return rules


def _shorter(found: re.Match[str]) -> str:
    # At least 2 s: a rate needs two samples, and Prometheus takes one each second.
    return f"{max(int(found[1]) * _UNITS[found[2]] // FASTER, 2)}s"
