"""PostgreSQL's plan of the query that finds due sagas. Every process repeats this query all the time."""

from collections import Counter

import pytest
from sqlalchemy import event

from app.store.instance import Instance
from app.store.tenant_room import TenantRoom
from machines.checkout import CHECKOUT

FILL = """
    INSERT INTO saga (id, definition, definition_version, state, status, data, attempt, deferrals, epoch, version,
                      claims, unsure, due_at, created_at, updated_at, entered_at, moves)
    SELECT gen_random_uuid(), 'checkout', 1, 'INITIEE', 'running', '{}', 0, 0, 1, 1, 0, false,
           now() + make_interval(secs => n - 100), now(), now(), now(),
           '[{"seq": 1, "trigger": "start", "dest": "INITIEE", "actor": "client"}]'
    FROM generate_series(1, 5000) AS n
"""


@pytest.fixture
def plan(stored):
    stored.rows(FILL)
    asked = []
    event.listen(stored.engine, "before_cursor_execute", lambda _c, _cu, sql, given, *_: asked.append((sql, given)))
    stored.leases("two").claim(10, 30)
    (sql, given), *_ = asked
    with stored.engine.connect() as connection:
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}", given))


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_claim_uses_the_index_of_a_table_without_statistics(plan):
    assert "Index Scan using saga_due" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_claim_does_not_read_sagas_that_are_not_due(plan):
    """There can be thousands of sagas that are not due. Reading all of them would make each claim slow."""
    assert "Index Cond: (due_at <=" in plan


def test_claim_takes_only_sagas_of_the_named_tables(stored):
    leases = stored.leases("two")
    for _ in range(3):
        saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client")
        stored.store().insert(saga, -10, owner="one")
    assert leases.claim(10, 30, 0.0, ["order_saga"]) == []
    assert len(leases.claim(2, 30, 0.0, ["order_saga", "checkout"])) == 2
    assert len(leases.claim(10, 30)) == 1


def due(stored, *tenants):
    """Store a due saga of each of these tenants, the longest due first."""
    for place, tenant in enumerate(tenants):
        saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client")
        saga.tenant = tenant
        stored.store().insert(saga, place - 100, owner="one")


def test_claim_takes_of_each_tenant_as_many_as_it_has_room_for(stored):
    due(stored, "full", "noisy", "noisy", None, "noisy", "quiet", None, "other", "other")
    room = TenantRoom({"full": 0, "noisy": 2, "quiet": 5}, others=1)
    leases = stored.leases("two")
    taken = leases.claim(9, 30, 0.0, None, room)
    assert Counter(saga.tenant for saga in taken) == {"noisy": 2, None: 2, "quiet": 1, "other": 1}
    left = leases.claim(9, 30)
    assert Counter(saga.tenant for saga in left) == {"full": 1, "noisy": 1, "other": 1}
    assert {saga.id for saga in taken}.isdisjoint(saga.id for saga in left), "the passed over ones are still due"


def test_claim_within_the_room_of_tenants_keeps_to_its_other_limits(stored):
    due(stored, "a", "a", "b")
    leases, room = stored.leases("two"), TenantRoom({"a": 9})
    assert leases.claim(9, 30, 0.0, ["order_saga"], room) == []
    assert leases.claim(9, 30, 3600.0, None, room) == []
    assert [saga.tenant for saga in leases.claim(2, 30, 0.0, ["checkout"], room)] == ["a", "a"]
