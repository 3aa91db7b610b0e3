"""Starts of several sagas that are written together: one statement inserts them, or each start gets its own error."""

from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal

from sqlalchemy.exc import OperationalError

from app.store.database_errors import is_away
from app.store.group_commit import UnknownResultError
from app.store.instance import Instance
from app.store.sagas import KeyTakenError, SagaStore
from app.store.transactions import atomic
from machines.checkout import CHECKOUT
from tests.contract.store.batching import advance, assert_same_rows, errors, on_postgresql, save_together, together
from tests.support.waiting import waited


def keyed(*keys: str | None) -> list[Instance]:
    """Return new sagas with these Idempotency-Keys."""
    data = {"client_id": 4, "magasin_id": 1, "note": "é' \\", "amount": Decimal("1234567890.123456789")}
    sagas = [Instance.new(CHECKOUT, data, actor="client") for _ in keys]
    for saga, key in zip(sagas, keys, strict=True):
        saga.key = saga.sent_key = key
        saga.fingerprint, saga.sent_digest, saga.started_by, saga.webhook = "f", "d", "key:shop", "ends"
        saga.failed_attempts, saga.error = 3, "wh\"y' \\ é"
    return sagas


def insert_together(store: SagaStore, threads: ThreadPoolExecutor, sagas: list[Instance]) -> list["Future[None]"]:
    """Insert new sagas by one batch."""
    return together(store.inserts, store.insert, threads, sagas)


def test_a_batch_inserts_the_same_columns_as_single_inserts(stored, threads):
    store, sagas = stored.store(), keyed("a", "b", "c", "d")
    for saga in sagas[:2]:
        store.insert(saga, 30, owner="one")
    stored.statements.clear()
    assert errors(insert_together(store, threads, sagas[2:])) == [None] * 2
    assert [line.split()[0] for line in stored.statements] in (["INSERT"], ["BEGIN", "COMMIT"])
    assert_same_rows(stored, sagas)
    assert [row["key"] for row in stored.rows("SELECT key FROM request_key ORDER BY key")] == ["a", "b", "c", "d"]
    assert len(stored.rows("SELECT id FROM saga WHERE due_at > updated_at AND deadline_at > due_at")) == 4
    assert errors(save_together(store, threads, [advanced(saga) for saga in sagas])) == [None] * 4


def advanced(saga: Instance) -> Instance:
    advance(saga)
    return saga


def test_a_taken_key_refuses_its_own_start_only(stored, threads):
    store, sagas = stored.store(), keyed("a", "b", "c", None)
    store.insert(*keyed("b"), 30, owner="one")
    assert errors(insert_together(store, threads, sagas)) == [None, KeyTakenError, None, None]
    assert [saga.version for saga in sagas] == [1, 0, 1, 1]
    assert len(stored.rows("SELECT * FROM saga")) == len(stored.rows("SELECT * FROM journal")) == 4


@on_postgresql
def test_starts_with_the_same_keys_in_another_order_cannot_deadlock_a_batch(stored, threads):
    """The other transaction takes the keys in their order. The batch of b and a waits for a before it takes b."""
    store, ours = stored.store(), keyed("b", "a")
    theirs = keyed("a", "b")
    with atomic(stored.engine) as other:
        store._insert_within(other, theirs[0], 30, "two")
        found = insert_together(store, threads, ours)
        waited(lambda: stored.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
        other.exec_driver_sql("SET LOCAL lock_timeout = '300ms'")
        store._insert_within(other, theirs[1], 30, "two")  # waits for nothing
    assert errors(found) == [KeyTakenError] * 2
    assert {str(row["id"]) for row in stored.rows("SELECT id FROM saga")} == {saga.id_text for saga in theirs}


def test_a_batch_of_starts_whose_connection_is_lost_has_no_result(stored, threads, monkeypatch):
    """No saga is written twice, and those that were written are released."""
    store, sagas = stored.store(), keyed("a", "b", "c")
    write = store.inserts.together

    def lost(commits):
        write(commits)
        raise OperationalError("INSERT", None, Exception("lost"), connection_invalidated=True)

    monkeypatch.setattr(store.inserts, "together", lost)
    found = insert_together(store, threads, sagas)
    assert errors(found) == [UnknownResultError] * 3
    assert all(is_away(each.exception(10)) for each in found), "the runner then releases the sagas"
    stored.leases("one").release(sagas)
    assert {saga.id for saga in stored.leases("two").claim(10, 30)} == {saga.id for saga in sagas}
