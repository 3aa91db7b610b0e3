"""A real Alertmanager with deploy/alertmanager/alertmanager.yml routes each alert."""

import subprocess
from pathlib import Path

import pytest
import requests

from tests.e2e.prometheus import DEPLOY
from tests.e2e.servers import Program, running
from tests.support.waiting import eventually, free_port

pytestmark = pytest.mark.programs

CONFIG = DEPLOY / "alertmanager" / "alertmanager.yml"


class Alertmanager(Program):
    def __init__(self, folder: Path) -> None:
        port = free_port()
        command = ["prometheus-alertmanager", f"--config.file={CONFIG}", f"--web.listen-address=127.0.0.1:{port}"]
        alone = ["--cluster.listen-address=", "--storage.path=data", "--log.level=warn"]
        super().__init__(folder, f"http://127.0.0.1:{port}", [*command, *alone])

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=2).ok
        except requests.ConnectionError:
            return False

    def send(self, *alerts: dict[str, str]) -> None:
        requests.post(f"{self.url}/api/v2/alerts", json=[{"labels": labels} for labels in alerts], timeout=5)

    @property
    def states(self) -> dict[tuple[str, str], str]:
        """Return the state of each alert, by its name and its participant or saga."""
        return {
            (labels["alertname"], labels.get("participant") or labels.get("saga", "")): alert["status"]["state"]
            for alert in requests.get(f"{self.url}/api/v2/alerts", timeout=5).json()
            if (labels := alert["labels"])
        }


def alert(name, severity="warning", **labels):
    return {"alertname": name, "severity": severity, **labels}


def test_alert_is_inhibited_when_its_cause_has_an_alert():
    with running(Alertmanager) as alertmanager:
        alertmanager.send(
            alert("SagaBreakerOpen", "critical", participant="client"),
            alert("SagaOverstayed", saga="checkout", state="STOCK_RESERVE", participant="client"),
            alert("SagaOverstayed", saga="checkout", state="INITIEE", participant="panier"),
            alert("SagaStuck", "critical", saga="checkout", state="STUCK_UNDO_PAYER", participant="client"),
            alert("SagaDefinitionUnknown", "critical", saga="order_saga", version="1"),
            alert("SagaOverstayed", saga="order_saga", state="PANIER_LU", participant="stock"),
        )
        expected = {
            ("SagaBreakerOpen", "client"): "active",
            ("SagaOverstayed", "client"): "suppressed",
            ("SagaOverstayed", "panier"): "active",
            ("SagaStuck", "client"): "active",
            ("SagaDefinitionUnknown", "order_saga"): "active",
            ("SagaOverstayed", "stock"): "suppressed",
        }
        eventually(lambda: alertmanager.states == expected, "Alertmanager has decided")


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "page"), ("warning", "ticket")])
def test_severity_of_an_alert_chooses_its_receiver(severity, receiver):
    command = ["amtool", "config", "routes", "test", f"--config.file={CONFIG}", f"severity={severity}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == receiver


def test_alertmanager_configuration_is_valid():
    subprocess.run(["amtool", "check-config", CONFIG], capture_output=True, check=True)
