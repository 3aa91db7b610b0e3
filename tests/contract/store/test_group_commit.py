"""Commits of several sagas that are written together: each row has its own guards, and its own result."""

import pytest
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError, OperationalError

from app.store.database_errors import is_away
from app.store.group_commit import MAX_ROWS, UnknownResultError
from app.store.instance import Instance
from app.store.sagas import FencedError, SagaStore
from machines.call import post
from machines.checkout import CHECKOUT
from machines.fields import text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import compensatable, pivot, wait
from machines.transitions import Trigger
from tests.contract.store.batching import advance, assert_same_rows, errors, on_postgresql, save_together
from tests.support.waiting import waited

LOAN = Saga(
    name="loan", version=1, initial="ASKED", completed="PAID", compensated="CALLED_OFF", deadline_s=9000.0,
    participants=("bank",), data={"customer": text()},
    steps=(
        compensatable("hold", post("bank", "/hold"), undo=post("bank", "/release"), done="HELD", refused="SHORT"),
        wait("approve", signal="decision", within_s=3600.0, done="APPROVED", refused="DENIED"),
        pivot("pay", post("bank", "/pay"), done="PAID", refused="DECLINED"),
    ),
)  # fmt: skip


def new_sagas(store: SagaStore, count: int) -> list[Instance]:
    """Insert sagas, and make a move of each that is not committed."""
    sagas = [Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client") for _ in range(count)]
    for saga in sagas:
        store.insert(saga, 30, owner="one")
        advance(saga)
    return sagas


def test_in_a_batch_of_32_one_fenced_saga_is_fenced_alone(stored, threads):
    store = stored.store()
    sagas = new_sagas(store, MAX_ROWS)
    stored.rows("UPDATE saga SET version = 7 WHERE id = :id", id=store._id_of(sagas[13]))
    assert errors(save_together(store, threads, sagas)) == [FencedError if n == 13 else None for n in range(MAX_ROWS)]
    assert [saga.version for saga in sagas] == [1 if n == 13 else 2 for n in range(MAX_ROWS)]
    states = {str(row["id"]).replace("-", ""): row["state"] for row in stored.rows("SELECT id, state FROM saga")}
    assert [states[saga.id.hex] for saga in sagas] == ["INITIEE" if n == 13 else "PANIER_RECUPERE" for n in range(32)]
    assert len(stored.rows("SELECT * FROM journal")) == 2 * MAX_ROWS - 1


@on_postgresql
def test_a_batch_is_one_statement(stored, threads):
    store = stored.store()
    sagas = new_sagas(store, 5)
    stored.statements.clear()
    assert errors(save_together(store, threads, sagas)) == [None] * 5
    assert [statement.split()[0] for statement in stored.statements] == ["WITH"]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_batch_is_one_transaction_on_sqlite(stored, threads):
    store = stored.store()
    sagas = new_sagas(store, 5)
    stored.statements.clear()
    assert errors(save_together(store, threads, sagas)) == [None] * 5
    assert stored.statements == ["BEGIN IMMEDIATE", "COMMIT"], "the updates run between them"


@pytest.mark.parametrize("of", ["epoch", "version"])
def test_a_row_of_a_past_epoch_or_version_changes_nothing(stored, threads, of):
    store = stored.store()
    sagas = new_sagas(store, 3)
    stored.rows(f"UPDATE saga SET {of} = {of} + 1 WHERE id = :id", id=store._id_of(sagas[1]))
    assert errors(save_together(store, threads, sagas)) == [None, FencedError, None]
    assert len(stored.rows("SELECT * FROM journal")) == 5


def test_two_copies_of_one_saga_in_a_batch_leave_one_write(stored, threads):
    store = stored.store()
    other, saga = new_sagas(store, 2)
    twin = Instance(CHECKOUT, saga.id, saga.data, "INITIEE")
    twin.epoch, twin.version, twin.next_seq = saga.epoch, saga.version, 2
    advance(twin)
    found = errors(save_together(store, threads, [saga, other, twin]))
    assert sorted(found, key=str) == sorted([FencedError, None, None], key=str)
    assert found[1] is None
    assert len(stored.rows("SELECT * FROM journal")) == 4


def test_a_value_that_the_database_refuses_fails_its_own_saga_only(stored, threads):
    store = stored.store()
    sagas = new_sagas(store, 4)
    sagas[2].failed_attempts = 2**40
    if stored.engine.dialect.name == "sqlite":
        sagas[2].failed_attempts = 2**70
    one, two, poisoned, four = save_together(store, threads, sagas)
    assert errors([one, two, four]) == [None] * 3
    assert isinstance(poisoned.exception(10), DBAPIError | OverflowError)
    assert len(stored.rows("SELECT * FROM journal")) == 7


@pytest.mark.parametrize(
    "how",
    [
        {"delay_s": 35, "owner": "one", "enough_s": 20},
        {"delay_s": 35, "owner": "one"},
        {"delay_s": 0, "owner": None},
        {"delay_s": None, "owner": None},
    ],
    ids=["keeps the lease", "renews the lease", "released", "ended"],
)
def test_a_batch_writes_the_same_columns_as_a_single_commit(stored, threads, how):
    store = stored.store()
    sagas = new_sagas(store, 4)
    for saga in sagas:
        saga.error, saga.failed_attempts, saga.deferrals, saga.claims = "wh\"y' \\ é", 3, 4, 2
    for saga in sagas[:2]:
        store.save(saga, **how)
    assert errors(save_together(store, threads, sagas[2:], **how)) == [None] * 2
    assert_same_rows(stored, sagas)
    leases = {str(row["id"]).replace("-", ""): row["due_at"] for row in stored.rows("SELECT id, due_at FROM saga")}
    assert (leases[sagas[0].id.hex] is None) == (how["delay_s"] is None)
    later = stored.rows("SELECT id FROM saga WHERE due_at > updated_at")
    assert len(later) == (4 if how["delay_s"] else 0), "seconds until due are counted from the commit"


@on_postgresql
def test_a_batch_keeps_the_lease_of_a_saga_that_needs_no_renewal(stored, threads):
    store = stored.store()
    sagas = new_sagas(store, 2)
    before = stored.rows("SELECT due_at FROM saga ORDER BY id")
    assert errors(save_together(store, threads, sagas, enough_s=20)) == [None] * 2
    assert stored.rows("SELECT due_at FROM saga ORDER BY id") == before


def test_a_saga_of_a_batch_whose_signal_came_before_its_wait_is_due_at_once(stored, threads):
    store = stored.store(registry=Registry([LOAN]))
    sagas = [Instance.new(LOAN, {"customer": "Ada"}, actor="client") for _ in range(2)]
    for saga in sagas:
        store.insert(saga, 30, owner="one")
        saga.fire(Trigger.SUCCEEDED, actor="engine", step="hold", direction="do")
    stored.rows("UPDATE saga SET arrived = 1 WHERE id = :id", id=store._id_of(sagas[0]))
    assert errors(save_together(store, threads, sagas, delay_s=3600, owner=None)) == [None] * 2
    (due,) = stored.rows("SELECT id FROM saga WHERE due_at <= updated_at")
    assert str(due["id"]).replace("-", "") == sagas[0].id.hex


@on_postgresql
def test_a_saga_whose_row_is_locked_does_not_delay_the_others(stored, threads):
    """The other transaction moves the saga, so that it is fenced in the end."""
    store = stored.store()
    sagas = new_sagas(store, 3)
    with stored.engine.connect() as other:
        other.exec_driver_sql("BEGIN")
        other.execute(sql("UPDATE saga SET version = version + 1 WHERE id = :id"), {"id": sagas[0].id})
        locked, *free = save_together(store, threads, sagas)
        assert errors(free) == [None] * 2
        assert not locked.done()
        other.exec_driver_sql("COMMIT")
    assert errors([locked]) == [FencedError]


@on_postgresql
def test_a_lock_that_another_transaction_takes_first_cannot_deadlock_a_batch(stored, threads):
    """The other transaction locks the second row, then the first one, and the batch has them in the opposite order."""
    store = stored.store()
    sagas = new_sagas(store, 2)
    lock = sql("UPDATE saga SET claims = claims WHERE id = :id")
    with stored.engine.connect() as other:
        other.exec_driver_sql("BEGIN")
        other.execute(lock, {"id": sagas[1].id})
        first, second = save_together(store, threads, sagas)
        assert errors([first]) == [None]
        other.execute(lock, {"id": sagas[0].id})
        other.exec_driver_sql("COMMIT")
    assert errors([second]) == [None]


@on_postgresql
@pytest.mark.parametrize("place", ["before", "during", "after"])
def test_a_batch_whose_connection_is_lost_has_no_result(stored, threads, monkeypatch, place):
    """No saga of the batch goes on, none is written twice, and each can be released."""
    store = stored.store()
    sagas = new_sagas(store, 3)
    if place == "during":
        found = _lost_during(stored, store, threads, sagas)
    else:
        together = store.saves.together

        def lost(commits):
            if place == "after":
                together(commits)
            raise OperationalError("UPDATE", None, Exception("lost"), connection_invalidated=True)

        monkeypatch.setattr(store.saves, "together", lost)
        found = save_together(store, threads, sagas)
    assert errors(found) == [UnknownResultError] * 3
    assert all(is_away(each.exception(10)) for each in found), "the runner then releases the sagas"
    assert [saga.version for saga in sagas] == [1] * 3
    assert len(stored.rows("SELECT * FROM journal")) == (6 if place == "after" else 3)
    stored.leases("one").release(sagas)
    assert {saga.id for saga in stored.leases("two").claim(10, 30)} == {saga.id for saga in sagas}


def _lost_during(stored, store, threads, sagas):
    """End the server process of the batch, while the batch waits for a lock of the journal."""
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%saga_save_all%'"
    with stored.engine.connect() as other:
        other.exec_driver_sql("BEGIN")
        other.exec_driver_sql("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
        found = save_together(store, threads, sagas)
        (row,) = waited(lambda: stored.rows(waits))
        stored.rows("SELECT pg_terminate_backend(:pid)", pid=row["pid"])
        assert errors(found) == [UnknownResultError] * 3
        other.exec_driver_sql("ROLLBACK")
    return found


@on_postgresql
def test_a_batch_looks_each_row_up_by_its_key_while_the_table_is_new(stored, threads):
    store = stored.store()
    assert errors(save_together(store, threads, new_sagas(store, 2))) == [None] * 2
    connection = store.connections.take()
    try:
        cursor = connection.cursor()
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE explained AS {store.saves.together._statement.sql.replace('%(rows)s', '$1')}")
        cursor.execute("EXPLAIN EXECUTE explained('[]')")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET plan_cache_mode")
    finally:
        store.connections.give_back(connection)
    assert "Seq Scan" not in plan, plan
    assert plan.count("Index Scan using saga_pkey") == 2
