"""Each start of a batch has the same result as a single start. Batches with common keys do not block each other."""

from random import Random

import pytest

from app.engine.batch import Start
from machines.purchase import PURCHASE
from tests.integration.engine.inputs import BUY, at_once
from tests.integration.engine.scene import answer


def starts(*keys):
    return [Start(key=key, data=BUY, sent=BUY) for key in keys]


def test_sagas_of_a_batch_are_due_at_once_and_run_to_their_end(scene):
    scene.given(RESERVE_INVENTORY=[answer(201, reservation_id="r1")] * 3)
    stored = scene.batches.start(PURCHASE, starts("a", "b", "c"), "key:shop")
    assert scene.calls == []
    claimed = scene.leases().claim(10, 30)
    assert {saga.id for saga in claimed} == {saga.id for saga in stored}
    for saga in claimed:
        scene.engine.run(saga, 0)
    assert scene.rows("SELECT DISTINCT status, started_by FROM saga") == [
        {"status": "completed", "started_by": "key:shop"}
    ]


def test_a_first_call_of_a_batch_is_not_in_doubt(scene):
    scene.batches.start(PURCHASE, starts("a"), "api")
    (saga,) = scene.leases().claim(1, 30)
    assert not saga.in_doubt


def test_batches_with_the_same_keys_at_the_same_time_start_each_saga_once(scene):
    keys = [f"k{number}" for number in range(40)]

    def send(order=iter(range(100))):  # noqa: B008  each thread takes its own order
        mixed = keys[:]
        Random(next(order)).shuffle(mixed)
        found = scene.batches.start(PURCHASE, starts(*mixed), "api")
        return {key: saga.id for key, saga in zip(mixed, found, strict=True)}

    found = at_once(send)
    assert all(each == found[0] for each in found)
    assert len(scene.rows("SELECT id FROM saga")) == 40


def test_a_batch_of_which_one_insert_fails_stores_nothing(scene, monkeypatch):
    insert, done = scene.engine.store._insert, []

    def fails_at_the_third(connection, values):
        done.append(values)
        if len(done) == 3:
            raise RuntimeError("no")
        return type(insert).run_within(insert, connection, values)

    monkeypatch.setattr(insert, "run_within", fails_at_the_third)
    with pytest.raises(RuntimeError):
        scene.batches.start(PURCHASE, starts("a", "b", "c"), "api")
    assert scene.rows("SELECT id FROM saga") == []
