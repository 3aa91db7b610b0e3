"""The Idempotency-Key of a request is taken by one saga, and has a retention of its own."""

import threading
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.store import request_keys, retention
from app.store.database import db
from app.store.instance import Instance
from app.store.sagas import KeyTakenError
from app.store.transactions import atomic
from machines.checkout import CHECKOUT

#: A release before migration 0027 starts a saga with such a statement.
FORMER_START = """
    INSERT INTO saga (id, definition, definition_version, state, status, data, attempt, deferrals, idempotency_key,
                      epoch, version, claims, unsure, created_at, updated_at, entered_at, moves)
    VALUES (:id, 'checkout', 1, 'INITIEE', 'running', '{}', 0, 0, :key, 1, 1, 0, false, CURRENT_TIMESTAMP,
            CURRENT_TIMESTAMP, CURRENT_TIMESTAMP,
            '[{"seq": 1, "trigger": "start", "dest": "INITIEE", "actor": "client"}]')
"""


@pytest.fixture(autouse=True)
def application(store_url):
    from app import create_app  # noqa: PLC0415  the other tests of this folder need no application
    from app.config import from_environment  # noqa: PLC0415

    app = create_app(from_environment({"DATABASE_URL": store_url}))
    with app.app_context():
        yield
        db.session.remove()
        db.engine.dispose()


def new(key):
    saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client")
    saga.sent_key = saga.key = key
    return saga


def begun(stored, key, *, days_ago=0, status="completed"):
    """Store a saga that was created `days_ago` days ago, and has this status now."""
    saga = new(key)
    stored.store().insert(saga, 30, "one")
    on_sqlite = stored.engine.dialect.name == "sqlite"
    past = "strftime('%Y-%m-%d %H:%M:%f', 'now', :ago) || '000'" if on_sqlite else "now() + CAST(:ago AS interval)"
    ago = f"-{days_ago} days"
    for column, table in (("created_at", "saga"), ("updated_at", "saga"), ("at", "request_key")):
        where = "id" if table == "saga" else "saga_id"
        stored.rows(f"UPDATE {table} SET {column} = {past} WHERE {where} = :id", ago=ago, id=sent(stored, saga.id))
    stored.rows("UPDATE saga SET status = :status WHERE id = :id", status=status, id=sent(stored, saga.id))
    stored.rows("DELETE FROM outbox")
    return saga.id


def sent(stored, saga_id):
    return saga_id.hex if stored.engine.dialect.name == "sqlite" else saga_id


def taken(stored):
    return {row["key"] for row in stored.rows("SELECT key FROM request_key")}


def test_saga_of_a_release_before_has_its_key_and_refuses_another(stored):
    saga_id = uuid4()
    stored.rows(FORMER_START, id=sent(stored, saga_id), key="k")
    (found,) = stored.store().find_keys("k")
    assert (found.key, found.id, found.saga_id) == ("k", saga_id, saga_id)
    with pytest.raises(KeyTakenError):
        stored.store().insert(new("k"), 30, "one")
    with pytest.raises(IntegrityError):
        stored.rows(FORMER_START, id=sent(stored, uuid4()), key="k")
    assert len(stored.rows("SELECT 1 FROM saga")) == len(stored.rows("SELECT 1 FROM journal")) == 1


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("kept", [True, False])
def test_start_waits_for_the_start_of_another_release_with_its_key(stored, kept):
    ends = []

    def start():
        try:
            stored.store().insert(new("k"), 30, "one")
        except KeyTakenError:
            ends.append("taken")
        else:
            ends.append("started")

    with stored.engine.connect() as former:
        former.exec_driver_sql("BEGIN")
        former.execute(text(FORMER_START), {"id": uuid4(), "key": "k"})
        starting = threading.Thread(target=start)
        starting.start()
        starting.join(0.2)
        assert starting.is_alive()
        former.exec_driver_sql("COMMIT" if kept else "ROLLBACK")
    starting.join()
    assert ends == ["taken" if kept else "started"]


def test_a_saga_without_a_key_and_a_child_take_none(stored):
    begun(stored, None)
    child = uuid4()
    stored.rows(FORMER_START.replace("moves)", "moves, parent_id)").replace("]')", "]', :id)"),
                id=sent(stored, child), key="c")  # fmt: skip
    assert taken(stored) == set()


def test_key_is_free_when_its_saga_is_deleted(stored):
    saga_id = begun(stored, "k")
    begun(stored, "other")
    assert retention.delete_ended([saga_id]) == 1
    assert taken(stored) == {"other"}
    stored.store().insert(new("k"), 30, "one")


def test_young_key_outlives_its_saga_and_an_old_one_does_not(stored):
    ids = [begun(stored, "old", days_ago=40), begun(stored, "young", days_ago=20), begun(stored, "there", days_ago=20)]
    assert retention.delete_ended(ids[:2], keys_days=30) == 2
    assert taken(stored) == {"young", "there"}
    (found,) = stored.store().find_keys("old", "young")
    assert (found.id, found.saga_id, found.key_definition) == (None, ids[1], "checkout")
    with pytest.raises(KeyTakenError):
        stored.store().insert(new("young"), 30, "one")
    assert retention.delete_ended(ids[2:]) == 1
    assert taken(stored) == {"young"}, "the key of a saga that is deleted without --keys-days goes with it"
    assert sum(request_keys.free_old(db.engine, 10)) == 1
    assert taken(stored) == set()


def test_old_key_is_free_while_its_saga_is_there_unless_that_is_unfinished(stored, monkeypatch):
    monkeypatch.setattr(request_keys, "BATCH", 2)
    for number in range(5):
        begun(stored, f"ended {number}", days_ago=40)
        begun(stored, f"running {number}", days_ago=40, status="running")
    begun(stored, "stuck", days_ago=40, status="stuck")
    begun(stored, "young", days_ago=20)
    assert sum(request_keys.free_old(db.engine, 30)) == 5
    assert taken(stored) == {*(f"running {number}" for number in range(5)), "stuck", "young"}
    stored.store().insert(new("ended 1"), 30, "one")
    (found,) = stored.store().find_keys("ended 1")
    assert found.status == "running"
    assert len(stored.rows("SELECT 1 FROM saga WHERE idempotency_key = 'ended 1'")) == 2
    stored.rows("DELETE FROM saga WHERE idempotency_key = 'ended 1' AND status = 'completed'")
    assert "ended 1" in taken(stored), "it belongs to the second saga"


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "holds",
    [
        lambda connection: request_keys.lock(connection, "k"),
        # A release before migration 0027 locks the saga that has the key.
        lambda connection: connection.execute(text("SELECT 1 FROM saga FOR KEY SHARE")),
    ],
    ids=["key", "saga"],
)
def test_key_that_a_start_relies_on_stays_and_delays_no_retention(stored, holds):
    begun(stored, "k", days_ago=40)
    with atomic(stored.engine) as connection:
        assert holds(connection)
        assert sum(request_keys.free_old(db.engine, 30)) == 0
    assert sum(request_keys.free_old(db.engine, 30)) == 1


def test_start_looks_again_when_the_key_as_sent_is_free_again(stored):
    saga = new("k")
    saga.key = "written out"
    with pytest.raises(KeyTakenError):
        stored.store().insert(saga, 30, "one")
    assert stored.rows("SELECT 1 FROM saga") == []
