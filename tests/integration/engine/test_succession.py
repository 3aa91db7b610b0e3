"""Running sagas are moved to another version of their table.

The calls that a saga has made do not change, and neither do the undos of these calls.
"""

import multiprocessing
import os
import signal
import threading
from dataclasses import replace
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from app.store import succession
from app.store.arrivals import Signal
from app.store.audit import verify
from app.store.sagas import FencedError
from app.store.succession import Succession
from machines.call import delete, post
from machines.fields import text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import compensatable, pivot, retriable, wait
from tests.integration.engine.scene import LOST, NOT_SENT, REFUSED, answer
from tests.support.databases import service_engine
from tests.support.waiting import waited

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["app.factory", "tests.integration.engine.scene"])

BOOK = compensatable(
    "book", post("shop", "/bookings", keeps={"id": text()}), repeatable=True,
    undo=delete("shop", "/bookings/{book.id}"), done="BOOKED", refused="FULL",
)  # fmt: skip
PAY = pivot("pay", post("shop", "/pay", booking="book.id"), done="PAID", refused="DECLINED")
SEND = retriable("send", post("shop", "/send"), done="SENT")
THANK = retriable("thank", post("shop", "/thanks", booking="book.id"), done="THANKED")


def table(version, *steps):
    return Saga(
        name="trip", version=version, initial="ASKED", completed=steps[-1].done, compensated="OFF",
        data={"city": text()}, participants=("shop",), steps=steps,
    )  # fmt: skip


OLD = table(1, BOOK, PAY, SEND)
#: Compared with `OLD`: the states of booking have other names, the payment has another path, and a step is new.
NEW = table(
    2,
    replace(BOOK, done="HELD", undoing="RELEASING"),
    replace(PAY, call=replace(PAY.call, path="/v2/pay")),
    SEND,
    THANK,
)
#: The steps of `OLD` keep their calls in this version, so every saga that no process holds can be moved to it.
SAME = table(2, replace(BOOK, done="HELD", undoing="RELEASING"), PAY, SEND, THANK)
MAPPED = {"BOOKED": "HELD", "UNDOING_BOOK": "RELEASING", "STUCK_UNDO_BOOK": "STUCK_UNDO_BOOK"}
BACK = {"HELD": "BOOKED", "RELEASING": "UNDOING_BOOK"}
USUAL = {"book": [answer(201, id="b1")]}


@pytest.fixture
def old(scene):
    """Make a process of the old release: it has only the old table."""
    scene.registry = Registry([OLD])
    return scene


@pytest.fixture
def new(scene):
    """Make a process of the new release. Both releases share the database and the participants."""
    return replace(scene, registry=Registry([NEW]), metrics=CollectorRegistry())


def there(scene, mapped=MAPPED, to=NEW):
    return Succession(scene.database, OLD, to, mapped, unnamed=True)


def back(scene, of=NEW):
    return Succession(scene.database, of, OLD, BACK, unnamed=True)


def moved(movement, batch=100):
    return [found.saga_id for part in movement.move("cli:ada", "the shop has moved", batch) for found in part]


def before_payment(old):
    """Make a saga that has booked, but has not yet sent its payment."""
    return old.given(**USUAL, pay=[NOT_SENT]).run(OLD, max_sleep_s=0, city="Oslo")


def rows(scene, table="saga"):
    order = {"saga": "id", "journal": "saga_id, seq", "audit": "seq"}[table]
    return [dict(row) for row in scene.rows(f"SELECT * FROM {table} ORDER BY {order}")]


def continued(scene):
    scene.leases().expire_all()
    for saga in scene.leases().claim(50, 30):
        scene.engine.run(saga, 1000)


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


def test_saga_that_a_process_holds_is_not_moved(old):
    before_payment(old)
    old.leases().expire_all()
    (held,) = old.leases().claim(1, 30)
    before = rows(old)
    assert moved(there(old, to=SAME)) == []
    assert rows(old) == before
    old.engine.run(held, 1000)
    assert rows(old)[0]["state"] == "SENT"


def test_saga_that_has_changed_since_it_was_examined_is_not_moved(old):
    before_payment(old)
    movement = there(old)
    examined = movement._examined

    def examined_too_early(connection, found):
        result = examined(connection, found)
        connection.exec_driver_sql("UPDATE saga SET version = version + 1")
        return result

    movement._examined = examined_too_early
    assert moved(movement) == []
    assert rows(old)[0]["definition_version"] == 1


def test_process_with_an_older_copy_of_a_moved_saga_is_fenced(old, new):
    saga = before_payment(old)
    moved(there(old))
    with pytest.raises(FencedError):
        old.engine.run(saga, 1000)
    assert rows(old)[0]["state"] == "HELD"
    old.leases().expire_all()
    assert old.leases().claim(1, 30) == [], "the old release does not have the table"
    continued(new)
    assert rows(old)[0]["state"] == "THANKED"


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


def test_saga_from_before_digests_is_moved_only_with_the_table_it_runs_by(old):
    before_payment(old)
    with old.database.begin() as connection:
        connection.exec_driver_sql("UPDATE saga SET table_digest = NULL")
    assert moved(Succession(old.database, OLD, NEW, MAPPED, unnamed=False)) == []
    assert len(moved(there(old))) == 1


def test_sagas_are_moved_in_batches(old):
    for _ in range(5):
        before_payment(old)
    sizes = [len(part) for part in there(old).move("cli:ada", "why", 2)]
    assert sizes == [2, 2, 1]
    assert {row["definition_version"] for row in rows(old)} == {2}


def killed_in_a_batch(url: str, number: int) -> None:
    """Move the sagas. Die just before the audit row of saga number `number` is written."""
    left = iter(range(number - 1, -1, -1))
    append = succession.append

    def dying(connection, entry):
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        append(connection, entry)

    succession.append = dying
    list(Succession(service_engine(url), OLD, NEW, MAPPED, unnamed=True).move("cli:ada", "why", 2))


@pytest.mark.parametrize("number", [1, 4])
def test_kill_in_the_middle_leaves_each_saga_whole_and_the_next_run_ends_it(old, new, store_url, number):
    for _ in range(5):
        before_payment(old)
    process = processes.Process(target=killed_in_a_batch, args=(store_url, number))
    process.start()
    process.join(60)
    assert process.exitcode == -9
    assert_whole(old, moved_so_far=(number - 1) // 2 * 2)
    moved(there(old))
    assert_whole(old, moved_so_far=5)
    continued(new)
    assert {row["state"] for row in rows(old)} == {"THANKED"}
    assert verify(old.database).broken is None


def assert_whole(scene, moved_so_far):
    """Assert that each saga's row, journal and audit trail agree, and that `moved_so_far` sagas have moved."""
    found = {(row["definition_version"], row["state"], row["table_digest"]) for row in rows(scene)}
    assert found <= {(1, "BOOKED", OLD.digest), (2, "HELD", NEW.digest)}
    count = sum(row["definition_version"] == 2 for row in rows(scene))
    journalled = [row["saga_id"] for row in rows(scene, "journal") if row["trigger"] == "migrate"]
    assert count == len(journalled) == len(set(journalled)) == len(rows(scene, "audit")) == moved_so_far


class Workers:
    """One worker of each release, in a thread."""

    def __init__(self, *scenes):
        self.failures, self.ended = [], threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(scene, f"w{n}")) for n, scene in enumerate(scenes)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _work(self, scene, name):
        try:
            while not self.ended.wait(0.01):
                for saga in scene.leases(name).claim(1, 30):
                    scene.engine.run(saga, 0)
        except Exception as error:  # noqa: BLE001  also a FencedError: no saga of a worker may be moved
            self.failures.append(repr(error))


def test_moves_that_race_running_workers_lose_and_double_nothing(old, new):
    """Move sagas there and back while workers of both releases run them."""
    for _ in range(12):
        before_payment(old)
    old.leases().expire_all()
    with Workers(old, replace(new, registry=Registry([SAME]))) as workers:
        for _ in range(10):
            moved(there(old, to=SAME), 3)
            moved(back(old, of=SAME), 3)
        waited(lambda: all(row["due_at"] is None for row in rows(old)), 60)
    assert workers.failures == []
    assert {row["state"] for row in rows(old)} <= {"SENT", "THANKED"}
    keys = [request.headers["Idempotency-Key"] for request in old.requests]
    paid = [key for key in keys if key.endswith("/pay/do")]
    assert (len(paid), len(set(paid))) == (24, 12), "each payment was sent once after the attempt that was not sent"
    assert verify(old.database).broken is None
