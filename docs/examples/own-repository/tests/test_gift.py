"""The saga gift, without a database, a server or a participant."""

from pathlib import Path

from machines import REFUSED, SUCCEEDED
from machines.discovery import discover
from machines.progress import Walk

TABLE = discover(str(Path(__file__).resolve().parents[1] / "sagas")).latest("gift")


def run(**outcomes):
    """Return the calls of a saga and its end state. outcomes: step → outcome; a step without one succeeds."""
    saga, calls = Walk(TABLE), []
    saga.pass_on()
    while saga.current.call:
        calls.append(("undo " if saga.current.undoes else "") + saga.current.step.name)
        saga.conclude(outcomes.get(saga.current.step.name, SUCCEEDED) if not saga.current.undoes else SUCCEEDED)
    return calls, saga.state


def test_every_step_succeeds():
    assert run() == (["reserve", "pay", "confirm"], "CONFIRMED")


def test_refused_payment_gives_the_reservation_back():
    assert run(pay=REFUSED) == (["reserve", "pay", "undo reserve"], "CALLED_OFF")
