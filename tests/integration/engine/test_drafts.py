"""A saga that was created but never started ends after DRAFT_DAYS. The end is visible, and no call is sent."""

import pytest

from app.engine.drafts import PASS_EVERY_S, PASS_LIMIT, Drafts
from app.errors import ConflictError
from app.store.tables import Tables
from machines import Saga, boolean, is_true, pivot, post
from machines.discovery import discover
from machines.registry import Registry
from tests.integration.engine.inputs import BUY, CART

DAYS = 7


def left(scene):
    return len(scene.rows("SELECT id FROM saga WHERE status = 'pending'"))


@pytest.fixture
def drafts(scene):
    tables = Tables(scene.database, scene.registry, "engine")
    tables.compare()
    return Drafts(scene.engine, scene.leases(), tables, DAYS, lambda: scene.now)


def age(scene, days):
    """Make every saga `days` days older."""
    shifted = (
        f"strftime('%Y-%m-%d %H:%M:%f', created_at, '-{days} days') || '000'"
        if scene.database.dialect.name == "sqlite"
        else f"created_at - interval '{days} days'"
    )
    with scene.database.connect() as connection:
        connection.exec_driver_sql(f"UPDATE saga SET created_at = {shifted}")


def test_a_draft_ends_compensated_without_a_call_and_says_why(scene, drafts):
    saga_id = scene.service.create("purchase_saga", BUY, "key").id
    age(scene, DAYS)
    drafts.expire()
    (row,) = scene.rows("SELECT status, state, error, due_at FROM saga")
    assert dict(row) == {
        "status": "compensated", "state": "COMPENSATED", "due_at": None,
        "error": "Too late for VALIDATE_INVENTORY: nobody started it within 7 days",
    }  # fmt: skip
    (move,) = scene.rows("SELECT actor, reason FROM journal WHERE trigger = 'expire'")
    assert dict(move) == {"actor": "engine", "reason": "nobody started it within 7 days"}
    assert scene.calls == []
    assert scene.service.create("purchase_saga", BUY, "key").id == saga_id


def test_a_young_draft_and_a_started_saga_stay(scene, drafts):
    started = scene.service.create("checkout", CART)
    age(scene, DAYS)
    scene.service.execute(started.id)
    scene.service.create("purchase_saga", BUY)
    drafts.expire()
    assert sorted(row["status"] for row in scene.rows("SELECT status FROM saga")) == ["completed", "pending"]


def test_a_draft_that_is_started_during_the_pass_runs(scene, drafts, monkeypatch):
    saga_id = scene.service.create("checkout", CART).id
    age(scene, DAYS)
    read = scene.engine.store.read

    def started_after_the_read(wanted):
        saga = read(wanted)
        monkeypatch.undo()
        assert scene.service.execute(saga_id).status == "completed"
        return saga

    monkeypatch.setattr(scene.engine.store, "read", started_after_the_read)
    drafts.expire()
    assert [row["status"] for row in scene.rows("SELECT status FROM saga")] == ["completed"]


def test_an_ended_draft_is_not_started(scene, drafts):
    saga_id = scene.service.create("purchase_saga", BUY).id
    age(scene, DAYS)
    drafts.expire()
    assert scene.service.execute(saga_id).status == "compensated"
    with pytest.raises(ConflictError):
        scene.service.retry(saga_id, "ada", "why not")
    assert scene.calls == []


def test_a_pass_is_bounded_and_the_next_one_waits_only_when_none_is_left(scene, drafts):
    for _ in range(PASS_LIMIT + 1):
        scene.service.create("checkout", CART)
    age(scene, DAYS)
    drafts.expire()
    assert left(scene) == 1
    drafts.expire()
    assert left(scene) == 0
    scene.service.create("checkout", CART)
    age(scene, DAYS)
    drafts.expire()
    assert left(scene) == 1
    scene.now += PASS_EVERY_S
    drafts.expire()
    assert left(scene) == 0


def test_drafts_of_unknown_tables_stay(scene):
    scene.service.create("checkout", CART)
    age(scene, DAYS)
    registry = Registry([table for table in discover() if table.name != "checkout"])
    tables = Tables(scene.database, registry, "engine")
    tables.compare()
    leases = type(scene.leases())(scene.database, registry, "engine")
    Drafts(scene.engine, leases, tables, DAYS, lambda: scene.now).expire()
    assert [row["status"] for row in scene.rows("SELECT status FROM saga")] == ["pending"]


def test_no_draft_ends_before_the_tables_are_compared(scene):
    scene.service.create("checkout", CART)
    age(scene, DAYS)
    tables = Tables(scene.database, scene.registry, "engine")
    Drafts(scene.engine, scene.leases(), tables, DAYS, lambda: scene.now).expire()
    assert [row["status"] for row in scene.rows("SELECT status FROM saga")] == ["pending"]


def test_an_old_draft_whose_steps_are_all_skipped_ends_without_a_call(scene):
    step = pivot("pay", post("shop", "/pay"), done="PAID", refused="DECLINED", when=is_true("gift"))
    table = Saga(
        name="gift", version=1, initial="ASKED", completed="PAID", compensated="CALLED_OFF", data={"gift": boolean()},
        participants=("shop",), steps=(step,),
    )  # fmt: skip
    scene.registry = Registry([table])
    tables = Tables(scene.database, scene.registry, "engine")
    tables.compare()
    scene.service.create("gift", {"gift": False})
    age(scene, DAYS)
    Drafts(scene.engine, scene.leases(), tables, DAYS, lambda: scene.now).expire()
    (row,) = scene.rows("SELECT status, state, due_at FROM saga")
    assert (row["status"], row["state"], row["due_at"], scene.calls) == ("completed", "PAID", None, [])
