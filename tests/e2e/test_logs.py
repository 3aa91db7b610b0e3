"""The log of a real process: one JSON object per line, the events of a failing saga by their names, and no secrets."""

import json
import os
import re
import socket

import pytest
import requests
import structlog

from app import create_app
from app.config import from_environment
from app.logs import HIDDEN, JsonLine, configure_logging
from app.version import VERSION
from participants.logs import configure_logging as configure_participants
from tests.support.servers import start
from tests.support.waiting import eventually, free_port

CART = {"client_id": 3, "magasin_id": 1}


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines() if line.startswith("{")]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_log_contains_each_move_of_a_saga_with_its_trace(orchestrator, participants, tmp_path):
    server = orchestrator()
    saga_id = requests.post(f"{server.url}/api/commande/checkout", json=CART, timeout=120).json()["saga_id"]

    def moves():
        return [line for line in lines(tmp_path / "orchestrator.log") if line.get("saga_id") == saga_id]

    eventually(lambda: any(line.get("dest") == "ANNULEE" for line in moves()), "the end is logged")
    moments = [(line["event"], line["level"]) for line in moves() if line["event"] != "saga.moved"]
    assert moments == [("Saga démarrée", "info"), ("Étape échouée", "info"), ("Compensation déclenchée", "warning")]
    failed = next(line for line in moves() if line["event"] == "Étape échouée")
    assert (failed["type"], failed["step"], failed["attempt"]) == ("checkout", "enregistrer_vente", 1)
    assert (failed["outcome"], failed["trace_id"]) == ("refused", saga_id.replace("-", ""))
    assert failed["duration_ms"] > 0
    assert {line["trace_id"] for line in moves()} == {failed["trace_id"]}


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_start_without_trouble_logs_nothing(orchestrator, tmp_path):
    orchestrator()
    assert (tmp_path / "orchestrator.log").read_text() == ""


def test_log_contains_no_secret_of_the_configuration_after_failures(tmp_path):
    log, port = tmp_path / "log", free_port()
    secret = "s3cret-pa55"
    settings = {
        "DATABASE_URL": f"postgresql://saga:{secret}@127.0.0.1:1/saga?password={secret}",
        "REDIS_URL": f"redis://:{secret}@127.0.0.1:1",
        "PORT": str(port),
        "LOG_LEVEL": "DEBUG",
    }
    server = start("app", "/health", port, log=log, **settings)
    try:
        for path in ("/ready", "/api/v1/sagas", "/metrics"):
            requests.get(server.url + path, timeout=120)
        requests.post(f"{server.url}/api/commande/checkout", json=CART, timeout=120)
    finally:
        server.kill()
    assert "database.failed" in log.read_text()
    assert secret not in log.read_text()


class ClosedOutput:
    """A standard output whose reader has closed."""

    def write(self, *_text):
        raise BrokenPipeError

    flush = write


@pytest.mark.parametrize("configure", [lambda: configure_logging("INFO"), lambda: configure_participants("INFO")])
def test_service_continues_when_its_log_cannot_be_written(configure, monkeypatch):
    configure()
    monkeypatch.setattr("sys.stdout", ClosedOutput())
    structlog.get_logger("x").error("parent.gone")
    monkeypatch.undo()
    configure_logging("INFO")


@pytest.mark.parametrize(
    "event",
    [
        {"password": "s3cret"},
        {"nested": {"list": [{"API-Key": "s3cret"}]}},
        {"headers": {"Authorization": "Bearer s3cret"}},
        {"error": "could not connect to postgresql://saga:s3cret@host/db"},
        {"error": "FATAL: password=s3cret rejected"},
        {"card": "s3cret"},
    ],
)
def test_log_hides_values_that_look_like_secrets_or_are_named_so(event):
    line = JsonLine(["card"])(None, "info", {"event": "x", **event})
    assert "s3cret" not in line
    assert HIDDEN in line
    assert json.loads(line)["event"] == "x"


def test_each_line_names_the_service_its_release_and_its_process(monkeypatch, sqlite_url):
    monkeypatch.setattr("app.logs._instances", {})
    before, after = logged(), create_app(from_environment({"DATABASE_URL": sqlite_url})) and logged()
    assert (before["service"], before["version"]) == ("saga-orchestrator", VERSION)
    process = f"{socket.gethostname()}:{os.getpid()}"
    assert before["instance"] == process
    # Two containers can have the same host name and process id.
    assert re.fullmatch(f"{re.escape(process)}:[0-9a-f]{{8}}", after["instance"])


def logged():
    return json.loads(JsonLine()(None, "info", {"event": "x"}))
