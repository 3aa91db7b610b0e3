"""Who takes what is due, and how much of it at once."""

import pytest

from app.config import Config
from app.engine.heartbeat import Heartbeat
from app.engine.runner import CLAIM_LIMIT, Runner
from app.store.leases import Replicas
from tests.integration.engine.scene import NOT_SENT


class Noted:
    """A broker that notes how often it was asked to wake somebody."""

    def __init__(self):
        self.wakings = 0

    def wake(self):
        self.wakings += 1

    def begin(self, stopping):
        pass


class Kept:
    """A pool that keeps what it is given: each saga stays in hand."""

    def __init__(self):
        self.given = []

    def submit(self, _run, saga, _hold_s):
        self.given.append(saga)
        return self

    def add_done_callback(self, done):
        pass


@pytest.fixture
def broker():
    return Noted()


@pytest.fixture
def make(scene, broker):
    """Give a runner of so many threads; with workers beside it, if that is said."""

    def made(threads, *, workers):
        runner = Runner(
            config=Config(threads=threads),
            engine=scene.engine,
            leases=scene.leases(),
            tables=scene.runner.tables,
            heartbeat=Heartbeat(Replicas(scene.database, "engine")),
            stopping=scene.runner.stopping,
            broker=broker if workers else None,
        )
        runner._pool = Kept()
        return runner

    return made


def due(scene, count):
    for _ in range(count):
        scene.given(payer=[NOT_SENT]).run(hold_s=0)
    scene.leases().expire_all()


def test_without_workers_what_is_due_is_taken_at_once(scene, make, broker):
    due(scene, 1)
    assert make(4, workers=False).claim_due() == 1
    assert broker.wakings == 0


def test_with_workers_who_is_not_woken_leaves_it_to_them(scene, make):
    due(scene, 1)
    runner = make(4, workers=True)
    assert runner.claim_due() == 0
    runner.wake()
    assert runner.claim_due() == 1


def test_a_worker_takes_what_is_due_without_a_message(scene, make):
    due(scene, 1)
    runner = make(4, workers=True)
    runner.patience_s = 0.0  # as app.worker sets it
    assert runner.claim_due() == 1


def test_who_was_woken_looks_once(scene, make):
    runner = make(4, workers=True)
    runner.wake()
    assert runner.claim_due() == 0
    due(scene, 1)
    assert runner.claim_due() == 0


def test_a_look_that_fails_is_made_up_for(scene, make, monkeypatch):
    due(scene, 1)
    runner = make(4, workers=True)
    runner.wake()
    with monkeypatch.context() as broken:
        broken.setattr(runner._leases, "claim", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.claim_due()
    assert runner.claim_due() == 1


def test_who_finds_more_than_it_has_room_for_wakes_another_and_goes_on_when_it_has(scene, make, broker):
    due(scene, 3)
    runner = make(2, workers=True)
    runner.wake()
    assert runner.claim_due() == 2
    assert broker.wakings == 1
    assert runner.claim_due() == 0, "there is no room"
    runner._count(-1)
    assert runner.claim_due() == 1


def test_who_found_more_looks_on_when_half_of_its_threads_are_free(scene, make):
    """To take one costs as much as to take many. But what is due is not left for want of so many free ones."""
    due(scene, 7)
    runner = make(4, workers=False)
    assert runner.claim_due() == 4
    runner._wake.clear()
    runner._count(-1)
    assert not runner._wake.is_set()
    assert runner.claim_due() == 1, "at its next look"
    runner._wake.clear()
    runner._count(-1)
    runner._count(-1)
    assert runner._wake.is_set()
    assert runner.claim_due() == 2


def test_nobody_takes_more_than_a_batch_at_once(scene, make):
    due(scene, CLAIM_LIMIT + 1)
    runner = make(2 * CLAIM_LIMIT, workers=False)
    assert runner.claim_due() == CLAIM_LIMIT
    assert runner.claim_due() == 1


def test_what_nobody_waits_for_is_the_workers_where_there_are_some(make):
    assert make(4, workers=False).accepts_new
    assert not make(4, workers=True).accepts_new
