import threading
from contextlib import nullcontext

import pytest
from flask import current_app
from prometheus_client import CollectorRegistry, generate_latest

from app import create_app
from app.config import from_environment
from app.engine import retention as by_itself
from app.services import services
from app.settings import ConfigError
from app.store import retention
from app.store.database import db
from app.store.deliveries import Deliveries
from app.store.instance import Instance
from app.store.outbox import Outbox
from app.store.turns import RETENTION, Turns
from machines.order import ORDER
from machines.transitions import Trigger
from tests.support.waiting import eventually

ORDERED = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 1}]}


@pytest.fixture(autouse=True)
def application(store_url):
    app = create_app(from_environment({"DATABASE_URL": store_url}))
    with app.app_context():
        yield
        db.session.remove()
        db.engine.dispose()


def cancelled(stored, *, days_ago):
    """Store a saga that was started and at once cancelled, `days_ago` days ago."""
    saga = started(stored, days_ago=0)
    saga.fire(Trigger.CANCEL, actor="ada")
    saga.fire(Trigger.COMPENSATE, actor="ada")
    stored.store().save(saga, None, None)
    age(stored, saga, days_ago)
    return saga.id


def started(stored, *, days_ago):
    saga = Instance.new(ORDER, ORDERED, actor="client")
    stored.store().insert(saga, 30, "one")
    age(stored, saga, days_ago)
    return saga


def age(stored, saga, days):
    past = {"sqlite": "datetime('now', :days)", "postgresql": "now() + CAST(:days AS interval)"}[
        stored.engine.dialect.name
    ]
    stored.rows(
        f"UPDATE saga SET created_at = {past}, updated_at = {past} WHERE id = :id",
        days=f"-{days} days",
        id=saga.id if stored.engine.dialect.name == "postgresql" else saga.id.hex,
    )


def publish(stored):
    outbox = Outbox(stored.engine, "one")
    while batch := outbox.take(100, 30):
        outbox.published([row.id for row in batch])
        outbox.give_back()


def left(stored):
    return {(row["saga_id"]) for row in stored.rows("SELECT DISTINCT saga_id FROM journal")}


def pruned(days):
    return retention.delete_ended([row.id for row in retention.ended_before(days, 100)])


def test_prune_deletes_old_sagas_with_their_journals_and_keeps_new_ones(stored):
    cancelled(stored, days_ago=40)
    cancelled(stored, days_ago=20)
    publish(stored)
    assert pruned(30) == 1
    assert len(left(stored)) == stored.rows("SELECT count(*) AS n FROM saga")[0]["n"] == 1


def test_an_unfinished_saga_is_never_deleted(stored):
    saga = started(stored, days_ago=400)
    assert pruned(30) == 0
    # `delete_ended` checks each saga again, because another process may have continued it after it was selected.
    assert retention.delete_ended([saga.id]) == 0
    assert len(left(stored)) == 1


def test_a_saga_whose_events_are_still_to_be_published_stays(stored):
    cancelled(stored, days_ago=40)
    assert pruned(30) == 0
    publish(stored)
    assert pruned(30) == 1


def event_of(saga_id, seq=1):
    """Return a statement that adds an event of a saga to the outbox."""
    return f"INSERT INTO outbox (saga_id, seq, at) SELECT id, {seq}, updated_at FROM saga WHERE id = '{saga_id}'"


def test_saga_with_an_event_since_it_was_selected_is_not_deleted(stored):
    parent, child, other = (cancelled(stored, days_ago=40) for _ in range(3))
    publish(stored)
    sent = {each: each.hex if stored.engine.dialect.name == "sqlite" else each for each in (parent, child)}
    stored.rows(f"UPDATE saga SET parent_id = '{sent[parent]}' WHERE id = '{sent[child]}'")
    for sends in (parent, child):
        stored.rows(event_of(sent[sends]))
        assert retention.delete_ended([parent]) == 0
        publish(stored)
    stored.rows(event_of(sent[parent]))
    assert retention.delete_ended([parent, other]) == 1
    publish(stored)
    assert retention.delete_ended([parent]) == 2
    assert left(stored) == set()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_event_of_a_commit_that_is_awaited_keeps_its_saga(stored):
    saga_id, deleted = cancelled(stored, days_ago=40), []
    publish(stored)
    app = current_app._get_current_object()

    def delete():
        with app.app_context():
            deleted.append(retention.delete_ended([saga_id]))

    with stored.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("UPDATE saga SET version = version + 1")
        deleting = threading.Thread(target=delete)
        deleting.start()
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        eventually(lambda: stored.rows(waits), "the deletion waits for the commit")
        connection.exec_driver_sql(event_of(saga_id))
        connection.exec_driver_sql("COMMIT")
    deleting.join()
    assert deleted == [0]
    publish(stored)
    assert pruned(30) == 1


def test_only_events_without_a_move_are_orphans(stored):
    kept, lost = cancelled(stored, days_ago=40), cancelled(stored, days_ago=40)
    before = len(stored.rows("SELECT 1 FROM outbox"))
    stored.rows(f"DELETE FROM saga WHERE id = '{lost.hex if stored.engine.dialect.name == 'sqlite' else lost}'")
    assert retention.delete_orphans() == before / 2 > 0
    assert retention.delete_orphans() == 0
    outbox = Outbox(stored.engine, "one")
    assert {row.saga_id for row in outbox.take(100, 30)} == {kept}


def test_prune_batches_start_with_the_oldest_and_end(stored):
    ids = [cancelled(stored, days_ago=days) for days in (50, 60, 70)]
    publish(stored)
    assert [row.id for row in retention.ended_before(30, 2)] == [ids[2], ids[1]]
    assert pruned(30) + pruned(30) == 3


def test_prune_exports_every_saga_once_the_oldest_first(stored):
    ids = [cancelled(stored, days_ago=days) for days in (3, 9, 6)]
    assert [row.id for rows in retention.all_sagas(2) for row in rows] == [ids[1], ids[2], ids[0]]


def test_saga_is_kept_while_a_message_to_a_webhook_is_to_be_sent(stored):
    saga_id = cancelled(stored, days_ago=40)
    publish(stored)
    columns = "saga_id, seq, event, webhook, url, at, attempts, due_at"
    values = "id, 3, 'compensated', 'shop', '', updated_at, 0, updated_at"
    stored.rows(f"INSERT INTO webhook_delivery ({columns}) SELECT {values} FROM saga")
    assert pruned(30) == 0
    assert len(left(stored)) == 1
    deliveries = Deliveries(stored.engine, "one")
    for delivery in deliveries.claim("shop", 1, 30):
        deliveries.failed(delivery, "no", None)
    assert len(deliveries.dead()) == 1
    assert pruned(30) == 1
    assert deliveries.of_saga(saga_id) == []
    assert deliveries.dead() == []


class Retaining:
    """The retention of a process that keeps sagas for 30 days, without pauses."""

    def __init__(self, stored, monkeypatch, keys_days=None):
        monkeypatch.setattr(by_itself, "BATCH", 2)
        monkeypatch.setattr(by_itself, "PAUSE_S", 0)
        self.metrics, self.stopping, self.turns = CollectorRegistry(), threading.Event(), Turns(stored.engine)
        self.work = by_itself.Retention(
            30, self.turns, services().bulk_jobs.store, self.metrics, context=nullcontext, stopping=self.stopping,
            keys_days=keys_days,
        )  # fmt: skip

    def next_turn(self):
        self.turns.prolong(RETENTION, -1)
        return self.work.step()


def test_old_sagas_are_deleted_by_themselves_in_batches_and_counted(stored, monkeypatch):
    for days in (31, 40, 50, 60, 70, 20):
        cancelled(stored, days_ago=days)
    started(stored, days_ago=400)
    publish(stored)
    retaining = Retaining(stored, monkeypatch)
    assert retaining.work.step() == 5
    assert len(left(stored)) == 2
    assert b"saga_retention_deleted_total 5.0" in generate_latest(retaining.metrics)
    assert retaining.next_turn() == 0


def test_keys_have_a_retention_of_their_own(stored, monkeypatch):
    for key, days in (("old", 70), ("young", 50), ("there", 20)):
        cancelled(stored, days_ago=days)
        # The trigger has no key to insert at an update.
        stored.rows(f"UPDATE saga SET idempotency_key = '{key}' WHERE idempotency_key IS NULL")
        columns = "key, saga_id, definition, at"
        stored.rows(
            f"INSERT INTO request_key ({columns}) SELECT idempotency_key, id, definition, created_at FROM saga "
            f"WHERE idempotency_key = '{key}'"
        )
    publish(stored)
    retaining = Retaining(stored, monkeypatch, keys_days=60)
    assert retaining.work.step() == 2
    assert {row["key"] for row in stored.rows("SELECT key FROM request_key")} == {"young", "there"}
    retaining.work._keys_days = 10
    assert retaining.next_turn() == 0
    assert stored.rows("SELECT key FROM request_key") == []
    assert stored.rows("SELECT idempotency_key FROM saga") == [{"idempotency_key": "there"}]


def test_one_process_at_a_time_deletes_old_sagas(stored, monkeypatch):
    cancelled(stored, days_ago=40)
    publish(stored)
    first, second = Retaining(stored, monkeypatch), Retaining(stored, monkeypatch)
    assert first.turns.claim(RETENTION, 60)
    assert second.work.step() == 0
    assert len(left(stored)) == 1
    assert second.next_turn() == 1


def test_a_process_that_is_to_end_deletes_no_further_batch(stored, monkeypatch):
    for days in (40, 50, 60):
        cancelled(stored, days_ago=days)
    publish(stored)
    retaining = Retaining(stored, monkeypatch)
    assert retaining.work.step(retaining.stopping.set) == 2
    assert len(left(stored)) == 1


def test_nothing_is_deleted_without_the_setting(store_url):
    assert services().retention is None
    app = create_app(from_environment({"DATABASE_URL": store_url, "RETENTION_DAYS": "30"}))
    assert services(app).retention_thread.name == "retention"


def test_retention_of_keys_alone_is_refused(store_url):
    with pytest.raises(ConfigError, match="RETENTION_KEYS_DAYS needs RETENTION_DAYS"):
        from_environment({"DATABASE_URL": store_url, "RETENTION_KEYS_DAYS": "30"})
