"""Running sagas are moved to another version of their table.

The calls that a saga has made do not change, and neither do the undos of these calls.
"""

from dataclasses import replace
from uuid import UUID

import pytest

from app.store.arrivals import Signal
from app.store.audit import verify
from app.store.succession import Succession
from machines.registry import Registry
from machines.step import wait
from tests.integration.engine.scene import LOST, NOT_SENT, REFUSED
from tests.integration.engine.trips import (
    BOOK,
    MAPPED,
    NEW,
    OLD,
    PAY,
    SAME,
    THANK,
    USUAL,
    back,
    before_payment,
    continued,
    moved,
    new_release,
    old_release,
    rows,
    table,
    there,
)


@pytest.fixture
def old(scene):
    return old_release(scene)


@pytest.fixture
def new(scene):
    return new_release(scene)


def test_waiting_saga_ends_by_the_new_version(old, new):
    saga = before_payment(old)
    before, requests = rows(old, "journal"), len(old.requests)
    assert moved(there(old)) == [saga.id]
    (row,) = rows(old)
    assert (row["definition_version"], row["state"], row["table_digest"]) == (2, "HELD", NEW.digest)
    continued(new)
    assert [request.url.rpartition("shop")[2] for request in old.requests[requests:]] == ["/v2/pay", "/send", "/thanks"]
    assert old.requests[-1].body == {"booking": "b1"}, "the kept reply is what it was"
    assert rows(old)[0]["state"] == "THANKED"
    assert rows(old, "journal")[: len(before)] == before, "no row of the journal has changed"


def test_undo_that_a_moved_saga_owes_has_its_key_and_its_path(old, new):
    saga = before_payment(old)
    moved(there(old))
    new.given(pay=[REFUSED])
    continued(new)
    undo = old.requests[-1]
    assert (undo.method, undo.url.rpartition("shop")[2]) == ("DELETE", "/bookings/b1")
    assert undo.headers["Idempotency-Key"] == f"{saga.id}/book/undo"
    assert rows(old)[0]["state"] == "OFF"


def test_saga_on_its_way_back_goes_on_undoing(old, new):
    old.given(**USUAL, pay=[REFUSED], undo_book=[NOT_SENT]).run(OLD, max_sleep_s=0, city="Oslo")
    before = [found.passage for found in there(old).examine()]
    assert before[0].obstacles, "it has called the payment, which differs"
    way = there(old, to=SAME)
    assert len(moved(way)) == 1
    assert rows(old)[0]["state"] == "RELEASING"
    continued(replace(new, registry=Registry([SAME])))
    assert (rows(old)[0]["state"], old.calls[-1]) == ("OFF", "undo_book")


def test_saga_whose_changed_call_may_have_been_sent_stays(old):
    old.given(**USUAL, pay=[LOST]).run(OLD, max_sleep_s=0, city="Oslo")
    before = rows(old)
    assert moved(there(old)) == []
    (found,) = there(old).examine()
    assert "step 'pay' may have been called" in found.passage.obstacles[0]
    assert rows(old) == before


def test_saga_that_a_dead_process_held_counts_as_called(old):
    before_payment(old)
    old.leases().expire_all()
    old.leases("dead").claim(1, 30)
    old.leases().expire_all()
    (found,) = there(old).examine()
    assert "step 'pay' may have been called" in found.passage.obstacles[0]


def test_move_is_a_row_of_the_journal_and_of_the_audit_trail(old):
    saga = before_payment(old)
    moved(there(old))
    row = rows(old, "journal")[-1]
    assert (row["source"], row["trigger"], row["dest"]) == ("BOOKED", "migrate", "HELD")
    assert (row["actor"], row["reason"]) == ("cli:ada", "the shop has moved")
    (audited,) = rows(old, "audit")
    assert (audited["action"], audited["actor"], audited["target"]) == ("saga.migrate", "cli:ada", "trip")
    assert str(saga.id).replace("-", "") == str(audited["saga_id"]).replace("-", "")
    assert verify(old.database).broken is None


def test_move_is_a_commit_of_a_new_owner(old):
    before_payment(old)
    old.leases().expire_all()
    old.leases("dead").claim(1, 30)
    old.leases().expire_all()
    (before,) = rows(old)
    assert before["owner"] == "dead"
    moved(there(old, to=SAME))
    (after,) = rows(old)
    assert (after["epoch"], after["version"]) == (before["epoch"] + 1, before["version"] + 1)
    assert (after["owner"], after["claims"], after["due_at"]) == (None, before["claims"], before["due_at"])
    assert after["updated_at"] > before["updated_at"]


def test_move_without_the_new_name_of_a_state_is_not_made(old):
    before_payment(old)
    assert moved(there(old, {})) == []
    assert rows(old)[0]["definition_version"] == 1


def test_move_is_taken_back_while_nothing_new_was_called(old):
    saga = before_payment(old)
    before = rows(old)[0]
    moved(there(old))
    assert moved(back(old)) == [saga.id]
    after = rows(old)[0]
    unchanged = before.keys() - {"version", "epoch", "updated_at", "moves"}
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    continued(old)
    assert (rows(old)[0]["state"], old.calls[-2:]) == ("SENT", ["pay", "send"])


def test_move_is_not_taken_back_after_a_new_call(old, new):
    before_payment(old)
    moved(there(old))
    new.given(send=[NOT_SENT])
    new.leases().expire_all()
    (saga,) = new.leases().claim(1, 30)
    new.engine.run(saga, 0)
    (found,) = back(old).examine()
    assert "step 'pay' may have been called" in found.passage.obstacles[0]
    assert moved(back(old)) == []


def test_pending_saga_is_moved_before_its_first_call(old, new):
    created = old.service.create("trip", {"city": "Oslo"})
    assert moved(there(old)) == [created.id]
    new.given(**USUAL)
    assert new.service.execute(created.id).state == "THANKED"


def test_waiting_saga_is_moved_and_its_signal_ends_the_wait(old, new):
    approve = wait("approve", signal="decision", within_s=60, done="APPROVED", refused="DENIED")
    asks, asks_too = table(1, BOOK, approve, PAY), table(2, replace(BOOK, done="HELD"), approve, PAY, THANK)
    old.registry = Registry([asks])
    saga = old.given(**USUAL).run(asks, city="Oslo")
    before = rows(old)[0]
    movement = Succession(old.database, asks, asks_too, {"BOOKED"}, unnamed=True)
    assert moved(movement) == [saga.id]
    after = rows(old)[0]
    assert (after["state"], after["status"], after["due_at"]) == ("HELD", "waiting", before["due_at"])
    later = replace(new, registry=Registry([asks_too]))
    later.service.signal(saga.id, Signal(name="decision", body={}, sender="user:eve"))
    continued(later)
    assert rows(old)[0]["state"] == "THANKED"


def test_stuck_saga_is_moved_and_a_person_still_decides(old, new):
    old.given(**USUAL, send=[REFUSED]).run(OLD, city="Oslo")
    assert len(moved(there(old, to=SAME))) == 1
    (row,) = rows(old)
    assert (row["state"], row["status"], row["due_at"]) == ("STUCK_SEND", "stuck", None)
    later = replace(new, registry=Registry([SAME]))
    ended = later.service.retry(UUID(str(row["id"])), "ada", "the shop works again")
    assert ended.state == "THANKED"


def test_ended_saga_keeps_its_version(old):
    old.given(**USUAL).run(OLD, city="Oslo")
    before = rows(old)
    assert list(there(old).examine()) == []
    assert moved(there(old)) == []
    assert rows(old) == before


def test_moved_saga_still_says_what_it_waits_for(old, new):
    waits_for = before_payment(old).waits_for
    moved(there(old))
    new.leases().expire_all()
    (saga,) = new.leases().claim(1, 30)
    assert (saga.waits_for, saga.failed_attempts, saga.deferrals) == (waits_for, 0, 1)
    assert waits_for


def test_saga_of_another_table_of_the_old_version_is_not_moved(old):
    before_payment(old)
    with old.database.begin() as connection:
        connection.exec_driver_sql("UPDATE saga SET table_digest = 'another'")
    assert list(there(old).examine()) == []
    assert moved(there(old)) == []


@pytest.mark.parametrize("column", ["definition = 'journey'", "definition_version = 2"])
def test_saga_of_another_name_or_version_with_the_same_steps_is_not_moved(old, column):
    before_payment(old)
    with old.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE saga SET {column}")
    assert list(there(old).examine()) == []
    assert moved(there(old)) == []


def test_saga_from_before_digests_is_moved_only_with_the_table_it_runs_by(old):
    before_payment(old)
    with old.database.begin() as connection:
        connection.exec_driver_sql("UPDATE saga SET table_digest = NULL")
    assert moved(Succession(old.database, OLD, NEW, MAPPED, unnamed=False)) == []
    assert len(moved(there(old))) == 1


def test_sagas_are_examined_and_moved_in_batches(old):
    sagas = sorted(before_payment(old).id for _ in range(5))
    assert [found.saga_id for found in there(old).examine(2)] == sagas
    sizes = [len(part) for part in there(old).move("cli:ada", "why", 2)]
    assert sizes == [2, 2, 1]
    assert {row["definition_version"] for row in rows(old)} == {2}
