"""A paused participant gets no calls. Its sagas wait like those under an open breaker, and go on when it is resumed."""

from dataclasses import replace

import pytest

from app.calls.pauses import WAIT_S, PausingSender
from app.engine.actions import send_now
from app.engine.pauses import Pauses
from app.errors import ConflictError
from app.store.audit import Entry
from app.store.participants import ParticipantStore
from machines.registry import Registry
from tests.integration.engine.bank import sale

TABLE = sale()


def entry(action):
    return Entry(actor="user:eve", action=f"participant.{action}", target="bank", reason="maintenance")


class Process:
    """The pauses of one process."""

    def __init__(self, database):
        self.pauses = Pauses(ParticipantStore(database))
        self.pauses.learn()

    def resume(self):
        states = [(TABLE.name, TABLE.version, state) for state in TABLE.states]
        return self.pauses.resume("bank", entry("resume"), states)


@pytest.fixture
def process(scene):
    """Put the pauses of a process between the engine and the scene's bank."""
    scene.registry = Registry([TABLE])
    process = Process(scene.database)
    sender = PausingSender(scene, process.pauses.holds)
    scene.engine = replace(scene.engine, calls=replace(scene.engine.calls, sender=sender))
    return process


def begin(scene):
    return scene.run(TABLE, 0.0, customer="Ada")


def test_no_call_is_sent_and_no_attempt_is_counted(scene, process):
    process.pauses.pause("bank", entry("pause"))
    saga = begin(scene)
    assert scene.calls == []
    assert (saga.state, saga.failed_attempts, saga.deferrals) == ("ASKED", 0, 1)
    row = scene.engine.store.find(saga.id)
    assert row.owner is None
    assert saga.unsaved == []


def test_a_call_that_a_person_sends_now_is_held_back_too(scene, process):
    process.pauses.pause("bank", entry("pause"))
    saga = begin(scene)
    again = scene.engine.store.read(saga.id)
    send_now(scene.engine, "user:eve", "try", again)
    scene.engine.run(again, 0.0)
    assert scene.calls == []


def test_send_now_says_that_the_participant_is_paused(scene, process):
    process.pauses.pause("bank", entry("pause"))
    saga = begin(scene)
    scene.engine = replace(scene.engine, is_paused=process.pauses.holds)
    with pytest.raises(ConflictError, match="bank is paused, so nothing would be sent; resume it first"):
        scene.service.send_now(saga.id, "user:eve", "try")
    assert scene.engine.store.read(saga.id).version == saga.version
    process.resume()
    assert scene.service.send_now(saga.id, "user:eve", "try").state == "SENT"


def test_resume_makes_the_waiting_sagas_due_at_once(scene, process):
    process.pauses.pause("bank", entry("pause"))
    saga = begin(scene)
    assert scene.runner.claim_one(saga.id) is None, f"it waits {WAIT_S} s"
    assert process.resume() == 1
    assert scene.runner.claim_one(saga.id) is not None


def test_pause_reaches_another_process_with_its_heartbeat_and_its_end_before_the_next_call(scene, process):
    other = Process(scene.database)
    other.pauses.pause("bank", entry("pause"))
    assert not process.pauses.holds("bank"), "this process has not read it yet"
    process.pauses.learn()
    assert process.pauses.holds("bank")
    other.resume()
    assert not process.pauses.holds("bank")


def test_new_process_knows_the_pause_before_its_first_call(scene, process):
    process.pauses.pause("bank", entry("pause"))
    assert Pauses(ParticipantStore(scene.database)).holds("bank")
