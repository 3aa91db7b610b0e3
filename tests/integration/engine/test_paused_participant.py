"""A paused participant gets no calls. Its sagas wait like those under an open breaker, and go on when it is resumed."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from app.calls.pauses import WAIT_S, PausingSender
from app.engine.actions import send_now
from app.engine.pauses import Pauses
from app.errors import ConflictError
from app.store.audit import Entry
from app.store.database import in_seconds, seconds_until
from app.store.models import SagaRow
from app.store.participants import ParticipantStore
from machines.registry import Registry
from tests.integration.engine.bank import sale

TABLE = sale()


def entry(action):
    return Entry(actor="user:eve", action=f"participant.{action}", target="bank", reason="maintenance")


class Process:
    """The pauses of one process."""

    def __init__(self, database):
        self.ended = 0
        self.pauses = Pauses(ParticipantStore(database), on_end=self.end)
        self.pauses.learn()

    def end(self):
        self.ended += 1

    def resume(self, spread_s=lambda sagas: 10.0 * sagas):
        states = [(TABLE.name, TABLE.version, state) for state in TABLE.states]
        return self.pauses.resume("bank", entry("resume"), states, spread_s)


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


def test_resume_makes_the_waiting_sagas_due_one_after_another(scene, process):
    process.pauses.pause("bank", entry("pause"))
    late, soon, first = (begin(scene) for _ in range(3))
    deadlines = {first.id: 1_000, soon.id: 2_000, late.id: None}
    with scene.database.connect() as connection:
        for saga_id, left_s in deadlines.items():
            deadline = update(SagaRow).where(SagaRow.id == saga_id).values(deadline_at=in_seconds(left_s))
            connection.execute(deadline)
        assert process.resume() == (3, 30.0)
        due_s = dict(connection.execute(select(SagaRow.id, seconds_until(SagaRow.due_at))).all())
    assert [due_s[each.id] for each in (first, soon, late)] == pytest.approx([0, 10, 20], abs=2)


def test_saga_whose_deadline_comes_before_its_turn_goes_on_at_once(scene, process):
    process.pauses.pause("bank", entry("pause"))
    sagas = [begin(scene) for _ in range(3)]
    with scene.database.connect() as connection:
        connection.execute(update(SagaRow).values(deadline_at=in_seconds(15)))
        process.resume()
        due_s = sorted(connection.execute(select(seconds_until(SagaRow.due_at))).scalars())
    assert due_s == pytest.approx([0, 0, 10], abs=2)
    assert scene.runner.claim_due() == 2, sagas


def test_end_of_a_pause_is_announced_in_every_process(scene, process):
    other = Process(scene.database)
    process.pauses.pause("bank", entry("pause"))
    other.pauses.learn()
    process.resume()
    other.pauses.learn()
    other.pauses.learn()
    assert (process.ended, other.ended) == (1, 1)


def test_resume_makes_a_saga_that_waits_alone_due_at_once(scene, process):
    process.pauses.pause("bank", entry("pause"))
    saga = begin(scene)
    assert scene.runner.claim_one(saga.id) is None, f"it waits {WAIT_S} s"
    assert process.resume() == (1, 10.0)
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
