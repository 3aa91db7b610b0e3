"""The log line of a new saga contains the data with which the saga started."""

import json
import logging

import pytest
import structlog
from prometheus_client import CollectorRegistry

from app.logs import HIDDEN, JsonLine
from app.store.instance import Instance
from app.telemetry import Telemetry
from app.telemetry.counted_transition import CountedTransition
from app.telemetry.log_lines import LARGEST_DATA_BYTES, level_and_event
from machines.checkout import CHECKOUT
from machines.transitions import Phase, Trigger


@pytest.fixture
def lines(monkeypatch):
    """Return a function that starts a saga with the given data, and returns its log lines.

    With `pending=True`, the saga is first stored and started later.
    """
    logged = []

    def write(_logger, method, event):
        logged.append(json.loads(JsonLine(["client_id"])(None, method, event)))
        raise structlog.DropEvent

    def start(data, *, pending=False):
        structlog.configure(processors=[write])
        telemetry, saga = Telemetry(CollectorRegistry()), Instance.new(CHECKOUT, data, actor="client")
        saga.pending = pending
        commit(telemetry, saga)
        if pending:
            saga.start_pending()
        saga.fire(Trigger.SUCCEEDED, actor="engine", step="lire_panier", direction="do", duration_ms=1.0)
        commit(telemetry, saga)
        return logged

    def commit(telemetry, saga):
        moves, before = saga.unsaved, saga.committed_snapshot
        saga.committed()
        telemetry.committed(saga, moves, before)

    yield start
    structlog.reset_defaults()


@pytest.mark.parametrize("pending", [False, True])
def test_a_saga_that_starts_is_logged_with_its_data_once(lines, pending):
    logged = lines({"magasin_id": 1, "note": "gift"}, pending=pending)
    (line,) = [line for line in logged if "data" in line]
    assert (line["event"], line["type"], line["data"]) == (
        "Saga démarrée",
        "checkout",
        {"magasin_id": 1, "note": "gift"},
    )
    assert line["saga_id"]


def test_secrets_are_hidden_in_the_logged_data(lines):
    (line,) = [line for line in lines({"client_id": 4, "card": {"token": "t0p"}}) if "data" in line]
    assert line["data"] == {"client_id": HIDDEN, "card": {"token": HIDDEN}}


def test_data_that_would_fill_the_log_is_left_out(lines):
    (line,) = [line for line in lines({"note": "x" * LARGEST_DATA_BYTES}) if "data" in line]
    assert str(LARGEST_DATA_BYTES + len('{"note":""}')) in line["data"]
    assert "xx" not in line["data"]


def level_of(source, trigger, dest):
    states = CHECKOUT.states
    level, event = level_and_event(CountedTransition("checkout", states[source], trigger, states[dest]))
    assert event == "Étape échouée"
    return logging.getLevelName(level)


def test_a_refusal_that_the_table_provides_for_is_no_error_in_the_log():
    """A person who is alerted for errors in the log must not be called for each customer without money."""
    refused = [it for it in CHECKOUT.transitions if it.trigger == Trigger.REFUSED]
    levels = {CHECKOUT.states[it.dest].phase: level_of(it.source, it.trigger, it.dest) for it in refused}
    assert levels == {Phase.PASSING: "INFO", Phase.STUCK: "ERROR"}
    assert {level_of(it.source, it.trigger, it.dest) for it in CHECKOUT.transitions if it.trigger == "exhausted"} == {
        "ERROR"
    }
