"""A move of running sagas to another version meets other writers: locks, deletions, another move, and kill -9."""

import multiprocessing
import signal
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import psycopg2
import pytest
from sqlalchemy import text

from app.store import succession
from app.store.audit import verify
from app.store.sagas import FencedError
from machines.registry import Registry
from tests.integration.engine.trips import (
    NEW,
    OLD,
    SAME,
    back,
    before_payment,
    continued,
    killed_before_a_statement,
    moved,
    new_release,
    old_release,
    rows,
    there,
)
from tests.support.waiting import waited

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["app.factory", "tests.integration.engine.trips"])


@pytest.fixture
def old(scene):
    return old_release(scene)


@pytest.fixture
def new(scene):
    return new_release(scene)


def test_saga_that_a_process_holds_is_not_moved(old):
    before_payment(old)
    old.leases().expire_all()
    (held,) = old.leases().claim(1, 30)
    before = rows(old)
    assert moved(there(old, to=SAME)) == []
    assert rows(old) == before
    old.engine.run(held, 1000)
    assert rows(old)[0]["state"] == "SENT"


@pytest.mark.parametrize("column", ["version", "epoch"])
def test_saga_that_has_changed_since_it_was_examined_is_not_moved(old, column):
    before_payment(old)
    movement = there(old)
    examined = movement._examined

    def examined_too_early(connection, found):
        result = examined(connection, found)
        connection.exec_driver_sql(f"UPDATE saga SET {column} = {column} + 1")
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


def test_kill_before_any_statement_leaves_each_saga_whole_and_the_next_run_ends_it(old, new, store_url):
    """The commands die one after the other, each one statement later, until one of them ends."""
    for _ in range(4):
        before_payment(old)
    killed, exits = 0, []
    while not exits or exits[-1]:
        process = processes.Process(target=killed_before_a_statement, args=(store_url, killed + 1))
        process.start()
        process.join(60)
        exits.append(process.exitcode)
        killed += 1
        count = assert_whole(old)
        assert not count % 2, "a batch is moved whole"
    assert set(exits) == {0, -signal.SIGKILL}
    assert killed > 8, "each statement of a batch was the last one of a command"
    assert assert_whole(old) == 4
    continued(new)
    assert {row["state"] for row in rows(old)} == {"THANKED"}
    assert verify(old.database).broken is None


def assert_whole(scene):
    """Assert that each saga's row, journal and audit trail agree. Return the number of moved sagas."""
    found = {(row["definition_version"], row["state"], row["table_digest"]) for row in rows(scene)}
    assert found <= {(1, "BOOKED", OLD.digest), (2, "HELD", NEW.digest)}
    count = sum(row["definition_version"] == 2 for row in rows(scene))
    journalled = [row["saga_id"] for row in rows(scene, "journal") if row["trigger"] == "migrate"]
    assert count == len(journalled) == len(set(journalled)) == len(rows(scene, "audit"))
    return count


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


def other_connection(url):
    """Return a connection of another program, which waits for no lock."""
    return (
        psycopg2.connect(url) if url.startswith("postgresql") else sqlite3.connect(url.partition("///")[2], timeout=0)
    )


def test_sagas_of_a_batch_are_locked_before_they_are_examined(old, store_url, monkeypatch):
    saga, refused, journals = before_payment(old), [], succession.journals

    def locked(connection, saga_ids):
        with closing(other_connection(store_url)) as other:
            taken = "SELECT 1 FROM saga FOR UPDATE NOWAIT" if "postgresql" in store_url else "BEGIN IMMEDIATE"
            with pytest.raises((psycopg2.errors.LockNotAvailable, sqlite3.OperationalError)) as error:
                other.cursor().execute(taken)
            refused.append(error)
        return journals(connection, saga_ids)

    monkeypatch.setattr(succession, "journals", locked)
    assert moved(there(old)) == [saga.id]
    assert len(refused) == 1


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_saga_that_another_transaction_has_locked_is_left_at_once(old, store_url):
    locked, free = (before_payment(old) for _ in range(2))
    found: list = []
    with closing(other_connection(store_url)) as other:
        other.cursor().execute("SELECT 1 FROM saga WHERE id = %s FOR UPDATE", [str(locked.id)])
        moving = threading.Thread(target=lambda: found.extend(moved(there(old))))
        moving.start()
        moving.join(60)
        assert found == [free.id], "the move waits for no lock"
        other.rollback()  # the end of the session alone would free the row a moment later
    moving.join()
    assert moved(there(old)) == [locked.id]


def test_saga_that_is_deleted_while_it_is_examined_is_left_out(old, monkeypatch):
    gone, kept = (before_payment(old) for _ in range(2))
    journals = succession.journals

    def too_late(connection, saga_ids):
        is_gone = {"id": str(gone.id) if old.database.dialect.name == "postgresql" else gone.id.hex}
        with old.database.connect() as other:
            other.execute(text("DELETE FROM journal WHERE saga_id = :id"), is_gone)
            other.execute(text("DELETE FROM saga WHERE id = :id"), is_gone)
        return journals(connection, saga_ids)

    monkeypatch.setattr(succession, "journals", too_late)
    assert [found.saga_id for found in there(old).examine()] == [kept.id]


def test_two_commands_at_once_move_each_saga_once(old, new):
    expected = {before_payment(old).id for _ in range(12)}
    found: list = []
    commands = [threading.Thread(target=lambda: found.extend(moved(there(old), 2))) for _ in range(2)]
    for command in commands:
        command.start()
    for command in commands:
        command.join()
    assert len(found) == 12
    assert set(found) == expected
    assert assert_whole(old) == 12
    continued(new)
    assert {row["state"] for row in rows(old)} == {"THANKED"}
    assert verify(old.database).broken is None
