"""The saga gift, without a database, a server or a participant: see docs/testing.md of saga-orchestrator."""

from pathlib import Path

import pytest

from machines.discovery import discover
from machines.testing import every_outcome, given, lost, refused

TABLE = discover(str(Path(__file__).resolve().parents[1] / "sagas")).latest("gift")


def test_every_step_succeeds():
    saga = given(TABLE).run()
    assert saga.calls == ["reserve", "pay", "confirm"]
    assert saga.ended == "CONFIRMED"


def test_refused_payment_gives_the_reservation_back():
    saga = given(TABLE).when(pay=refused("NO_MONEY")).run()
    assert saga.calls == ["reserve", "pay", "undo reserve"]
    assert (saga.ended, saga.took_effect) == ("CALLED_OFF", [])


def test_lost_reply_is_asked_for_again():
    assert given(TABLE).when(reserve=lost).run().calls == ["reserve", "reserve", "pay", "confirm"]


@pytest.mark.parametrize("scenario", every_outcome(TABLE))
def test_saga_that_was_called_off_leaves_nothing(scenario):
    saga = scenario.run()
    assert saga.ended != "CALLED_OFF" or saga.took_effect == []
