"""The parts of the outbox: who publishes which sagas, and the order of the events of each saga."""

from collections import Counter, defaultdict

import pytest
from sqlalchemy import create_engine, select, text

from app.store.instance import Instance
from app.store.message_models import OutboxRow
from app.store.outbox import BY_PARTS, PARTS, Outbox
from machines.checkout import CHECKOUT

LEASE_S, PER_SAGA = 30, 3
_OUTBOX = OutboxRow.__table__


def part_of(saga_id):
    return int(str(saga_id)[-1], 16) % PARTS


@pytest.fixture
def sagas(stored):
    """Store two sagas of each part, with PER_SAGA events each in turns. Return their ids."""
    found, parts = [], Counter()
    while len(found) < 2 * PARTS:
        saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client")
        parts[part_of(saga.id)] += 1
        if parts[part_of(saga.id)] <= 2:
            stored.store().insert(saga, 30, owner="one")
            found.append(saga.id)
    for seq in range(2, PER_SAGA + 1):
        stored.rows(
            'INSERT INTO journal (saga_id, seq, at, source, "trigger", dest, actor, event)'
            f" SELECT saga_id, {seq}, at, source, \"trigger\", dest, actor, 'Event' FROM journal WHERE seq = 1"
        )
    stored.rows("UPDATE journal SET event = 'Event'")
    for seq in range(1, PER_SAGA + 1):
        stored.rows(f"INSERT INTO outbox (saga_id, seq, at) SELECT saga_id, seq, at FROM journal WHERE seq = {seq}")
    return found


def test_processes_publish_different_parts_at_the_same_time(stored, sagas):
    processes = [Outbox(stored.engine, f"process {number}") for number in range(PARTS + 1)]
    taken = [process.take(100, LEASE_S) for process in processes]
    assert [len(batch) for batch in taken] == [2 * PER_SAGA] * PARTS + [0], "there are no more parts"
    parts = [{row.saga_id for row in batch} for batch in taken]
    assert set.union(*parts) == set(sagas)
    assert sum(map(len, parts)) == len(sagas), "no saga is in two parts"


def test_events_of_each_saga_stay_in_order_when_processes_take_turns(stored, sagas):
    processes, published = [Outbox(stored.engine, name) for name in ("one", "two")], defaultdict(list)
    for turn in range(200):
        process = processes[turn % 2]
        batch = process.take(2, LEASE_S)
        for row in batch:
            published[row.saga_id].append(row.seq)
        process.published([row.id for row in batch])
        if batch and turn % 3:
            process.give_back()
        if not stored.rows("SELECT 1 FROM outbox"):
            break
    assert published == {saga: list(range(1, PER_SAGA + 1)) for saga in sagas}


def test_part_that_is_held_is_not_taken_before_its_lease_ends(stored, sagas):
    first, second = Outbox(stored.engine, "one"), Outbox(stored.engine, "two")
    held = {row.saga_id for row in first.take(100, LEASE_S)}
    for _ in range(PARTS):
        assert not held & {row.saga_id for row in second.take(100, LEASE_S)}
    assert {row.saga_id for row in first.take(100, LEASE_S)} == held, "its holder takes it again"


def test_process_gives_back_only_its_own_part(stored, sagas):
    first, second = Outbox(stored.engine, "one"), Outbox(stored.engine, "two")
    held = {row.saga_id for row in first.take(100, -1)}  # its lease has ended already
    assert {row.saga_id for row in second.take(100, LEASE_S)} == held
    first.give_back()
    assert not held & {row.saga_id for row in Outbox(stored.engine, "three").take(100, LEASE_S)}


def test_process_of_an_earlier_release_publishes_alone(stored, sagas):
    """It holds the row of `relay` under its own name, and reads events of every part."""
    future, past = ("'2999-01-01'", "'2000-01-01'")
    stored.rows(f"UPDATE relay SET owner = 'earlier', until = {future}")
    assert Outbox(stored.engine, "one").take(100, LEASE_S) == []
    stored.rows(f"UPDATE relay SET until = {past}")
    assert Outbox(stored.engine, "one").take(100, LEASE_S)
    (held,) = stored.rows("SELECT owner FROM relay WHERE until > CURRENT_TIMESTAMP")
    assert held["owner"] == BY_PARTS, "an earlier release takes the row only when it has ended or is its own"


def test_each_part_has_a_row_and_each_id_a_part(stored, sagas):
    assert [row["id"] for row in stored.rows("SELECT id FROM relay_part ORDER BY id")] == list(range(PARTS))
    part = Outbox(stored.engine, "one")._part_of(_OUTBOX.c.saga_id)
    with stored.engine.connect() as connection:
        rows = connection.execute(select(_OUTBOX.c.saga_id, part.label("part")).distinct()).all()
    assert {row.saga_id: row.part for row in rows} == {saga: part_of(saga) for saga in sagas}


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_two_processes_at_the_same_moment_take_two_parts(stored, sagas):
    impatient = create_engine(stored.engine.url, connect_args={"options": "-c lock_timeout=3000"})
    impatient = impatient.execution_options(isolation_level="AUTOCOMMIT")
    (oldest,) = stored.rows("SELECT saga_id FROM outbox ORDER BY id LIMIT 1")
    with stored.engine.connect().execution_options(isolation_level="READ COMMITTED") as other:
        other.execute(
            text("UPDATE relay_part SET owner = 'other' WHERE id = :part"), {"part": part_of(oldest["saga_id"])}
        )
        taken = Outbox(impatient, "one").take(100, LEASE_S)
        other.rollback()
    impatient.dispose()
    assert len(taken) == 2 * PER_SAGA
    assert oldest["saga_id"] not in {row.saga_id for row in taken}
