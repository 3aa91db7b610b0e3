"""/metrics shows what the tables say, so no file is generated for a table that is added or changed."""

from dataclasses import replace
from pathlib import Path

from app.telemetry.table_gauges import TableGauges
from machines.checkout import CHECKOUT
from machines.discovery import discover

SUPPORT = Path(__file__).parents[2] / "support"


def samples(sagas):
    return [sample for family in TableGauges(sagas).collect() for sample in family.samples]


def limits(sagas):
    return {it.labels["state"]: it.value for it in samples(sagas) if it.name == "saga_table_dwell_limit_seconds"}


def places(sagas):
    return [it.labels["place"] for it in samples(sagas) if it.name == "saga_table_step"]


def test_each_state_shows_the_limit_of_its_step():
    steps = tuple(replace(step, dwell_s=60) if step.name == "payer" else step for step in CHECKOUT.steps)
    shown = limits([replace(CHECKOUT, steps=steps)])
    states = ("STOCK_RESERVE", "REMBOURSEMENT", "STUCK_PAYER", "STUCK_UNDO_PAYER")
    assert [shown[state] for state in states] == [60] * 4
    assert 60 not in limits([CHECKOUT]).values()


def test_steps_are_numbered_in_the_order_of_the_table():
    assert places([CHECKOUT]) == [f"checkout {number}/5" for number in range(1, 6)]


def test_a_state_of_two_versions_has_one_series_with_the_limit_of_the_newest():
    steps = tuple(replace(step, dwell_s=7200) for step in CHECKOUT.steps)
    newer = replace(CHECKOUT, version=2, steps=steps)
    found = [it.labels["state"] for it in samples([CHECKOUT, newer]) if it.name == "saga_table_dwell_limit_seconds"]
    assert len(found) == len(set(found))
    assert set(limits([CHECKOUT, newer]).values()) == {7200}


def test_a_waiting_state_shows_what_is_waited_for():
    sagas = discover(f"{SUPPORT / 'waiting_sagas'},{SUPPORT / 'later_sagas'}")
    waits = {it.labels["state"]: it.labels["waits_for"] for it in samples(sagas) if it.name == "saga_table_wait"}
    assert waits == {"ASKED": "signal agree", "AGREED": "signal plan", "AWAITING_PAY": "answer of bank"}
