"""Sagas that start later: due at their time, cancelled before it, and started exactly once when processes die."""

from datetime import UTC, datetime, timedelta

import pytest

from app.engine.batch import Start
from app.engine.drafts import Drafts
from app.errors import KeyReusedError
from app.store.statistics import saga_counts
from app.store.tables import Tables
from machines.statuses import Status
from tests.integration.engine.inputs import CART
from tests.integration.engine.scene import Scene
from tests.integration.engine.test_waits import pass_time

HOUR = 3_600.0


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def schedule(scene: Scene, at: datetime | None = None, key: str | None = None):
    return scene.service.create("checkout", CART, key, start_at=at or in_an_hour())


def claimed(scene: Scene, owner: str = "other"):
    return scene.leases(owner).claim(5, 30)


def status(scene: Scene) -> str:
    return scene.rows("SELECT status FROM saga")[0]["status"]


def test_a_saga_starts_at_its_time_and_not_before(scene):
    at = in_an_hour()
    saga = schedule(scene, at)
    assert (saga.status, saga.start_at) == (Status.PENDING, at)
    pass_time(scene, HOUR - 60)
    assert claimed(scene) == []
    pass_time(scene, 61)
    (due,) = claimed(scene)
    scene.engine.run(due, 0)
    assert (due.state, status(scene)) == ("CONFIRMEE", "completed")
    assert scene.calls[0] == "lire_panier"


def test_a_time_in_the_past_is_now(scene):
    schedule(scene, datetime(2020, 1, 31, tzinfo=UTC))
    (due,) = claimed(scene)
    scene.engine.run(due, 0)
    assert due.state == "CONFIRMEE"
    (row,) = scene.rows("SELECT deadline_at, created_at, entered_at FROM saga")
    assert row["deadline_at"] > row["created_at"]


def test_the_deadline_counts_from_the_start(scene):
    schedule(scene)
    assert scene.rows("SELECT deadline_at FROM saga")[0]["deadline_at"] is None
    pass_time(scene, 2 * HOUR)
    (due,) = claimed(scene)
    scene.engine.run(due, 0)
    assert due.state == "CONFIRMEE"


def test_a_process_that_claims_a_saga_early_leaves_its_start_where_it_was(scene):
    saga = schedule(scene)
    pass_time(scene, HOUR / 2)
    scene.engine.run(scene.recovered("other"), 0)
    assert (status(scene), scene.calls) == ("pending", [])
    assert scene.service.create("checkout", CART, start_at=in_an_hour()).id != saga.id
    pass_time(scene, HOUR / 2 - 60)
    assert claimed(scene) == []
    pass_time(scene, 61)
    assert [each.id for each in claimed(scene)] == [saga.id]


def test_the_start_is_durable_before_the_first_call(scene):
    seen = []
    scene.at_each_call = lambda _request: seen.append(status(scene))
    schedule(scene)
    pass_time(scene, HOUR + 1)
    (due,) = claimed(scene)
    scene.engine.run(due, 0)
    assert seen[0] == "running"


def test_a_saga_is_cancelled_before_its_start_without_a_call(scene):
    saga = schedule(scene)
    ended = scene.service.compensate(saga.id, "user:eve", "not wanted")
    assert (ended.status, ended.start_at) == (Status.COMPENSATED, None)
    pass_time(scene, HOUR + 1)
    assert (claimed(scene), scene.calls) == ([], [])


def test_execute_starts_it_at_once(scene):
    saga = schedule(scene)
    assert scene.service.execute(saga.id).status == Status.COMPLETED
    pass_time(scene, HOUR + 1)
    assert claimed(scene) == []


def test_a_cancel_against_the_start_has_one_winner(scene):
    saga = schedule(scene)
    pass_time(scene, HOUR + 1)
    (due,) = claimed(scene)
    ended = scene.service.compensate(saga.id, "user:eve", "not wanted")
    assert ended.status == Status.COMPENSATED
    with pytest.raises(Exception, match=str(saga.id)):
        scene.engine.run(due, 0)
    assert scene.calls == []


@pytest.mark.parametrize("dies_at", ["claimed", "started"])
def test_a_process_that_dies_at_the_start_is_succeeded_by_another(scene, dies_at):
    saga = schedule(scene)
    pass_time(scene, HOUR + 1)
    (first,) = claimed(scene, "first")
    if dies_at == "started":
        first.start_pending()
        scene.engine.commit(first)
    pass_time(scene, 60)  # the lease has ended
    (second,) = claimed(scene, "second")
    scene.engine.run(second, 0)
    assert (second.id, second.state) == (saga.id, "CONFIRMEE")
    assert scene.calls.count("payer") == 1
    with pytest.raises(Exception, match=str(saga.id)):
        scene.engine.run(first, 0)


def test_the_same_key_is_the_same_saga_and_another_time_another_request(scene):
    at = in_an_hour()
    first, again = schedule(scene, at, "k"), schedule(scene, at, "k")
    assert (again.id, again.replayed, again.start_at) == (first.id, True, at)
    with pytest.raises(KeyReusedError):
        schedule(scene, at + timedelta(seconds=1), "k")
    with pytest.raises(KeyReusedError):
        scene.service.start("checkout", CART, "k")


def test_a_batch_starts_each_saga_at_its_own_time(scene):
    at = in_an_hour()
    starts = [Start(key="now", data=CART, sent=CART), Start(key="later", data=CART, sent=CART, start_at=at)]
    results = scene.batches.start(scene.registry.latest("checkout"), starts, "api")
    assert [(each.status, each.start_at) for each in results] == [("running", None), ("pending", at)]
    assert [each.id for each in claimed(scene)] == [results[0].id]
    again = scene.batches.start(scene.registry.latest("checkout"), starts, "api")
    assert [(each.id, each.start_at, each.replayed) for each in again] == [
        (each.id, each.start_at, True) for each in results
    ]


def test_a_later_start_is_no_draft_and_needs_no_attention(scene):
    schedule(scene, datetime.now(UTC) + timedelta(days=30))
    with scene.database.connect() as connection:
        past = {
            "sqlite": "strftime('%Y-%m-%d %H:%M:%f', created_at, '-20 days') || '000'",
            "postgresql": "created_at - interval '20 days'",
        }[scene.database.dialect.name]
        connection.exec_driver_sql(f"UPDATE saga SET created_at = {past}")
    tables = Tables(scene.database, scene.registry, "engine")
    tables.compare()
    Drafts(scene.engine, scene.leases(), tables, 7, lambda: scene.now).expire()
    assert status(scene) == "pending"
    assert [age_s for _, age_s in saga_counts(scene.database, scene.registry).by_state.values()] == [0.0]
