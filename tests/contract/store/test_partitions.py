"""`saga` and `journal` partitioned by month: made from the tables of before, under load, and dropped month by month."""

import re
import subprocess
import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import flask_migrate
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import make_url

from app import create_app
from app.cli.migrate import enable_migrations
from app.config import from_environment
from app.engine.retention import Retention
from app.services import services
from app.store import months, old_months, retention
from app.store.database import db
from app.store.instance import Instance
from app.store.months import Month
from app.store.partitions import BELONGING, partition
from app.store.saga_ids import child_id
from app.store.turns import Turns
from deploy.drill_stack import wheel_programs
from machines.checkout import CHECKOUT
from machines.transitions import Trigger

DATA = {"client_id": 4, "magasin_id": 1}
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
OLD = Month(2024, 2)
pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def app(store_url):
    app = create_app(from_environment({"DATABASE_URL": store_url}))
    enable_migrations(app)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def begun(stored, saga_id=None, key=None):
    saga = Instance.new(CHECKOUT, DATA, "client", saga_id=saga_id)
    saga.key = saga.sent_key = key
    stored.store().insert(saga, 30, "one")
    return saga


def ended(stored, saga_id=None, key=None):
    saga = begun(stored, saga_id, key)
    cancel(stored, saga)
    return saga


def cancel(stored, saga):
    saga.fire(Trigger.CANCEL, actor="ada")
    saga.fire(Trigger.COMPENSATE, actor="ada")
    stored.store().save(saga, None, None)


def in_month(month, number=1):
    """Return an id of a month, as a random id of an earlier release can be: of version 4."""
    return UUID(int=month.bounds[0].int + (4 << 76) + (2 << 62) + number)


def places(stored, table="saga", column="id"):
    found = stored.rows(f"SELECT {column} AS id, tableoid::regclass::text AS place FROM {table}")
    return {row["id"]: row["place"] for row in found}


def this_month(stored):
    return Month.of(stored.rows("SELECT now()")[0]["now"])


def make_old(stored):
    """Add a partition for the month OLD."""
    with stored.engine.begin() as connection:
        connection.exec_driver_sql("BEGIN")
        months.add(connection, OLD)
        connection.exec_driver_sql("COMMIT")


def age(stored, saga):
    for statement in (
        "UPDATE saga SET created_at = '2024-02-09', updated_at = '2024-02-09' WHERE id = :id",
        "UPDATE journal SET at = '2024-02-09' WHERE saga_id = :id",
        "DELETE FROM outbox WHERE saga_id = :id",
    ):
        stored.rows(statement, id=saga.id)


def old_one(stored, number=1, key=None):
    """Store a saga of the month OLD that ended in it."""
    saga = ended(stored, in_month(OLD, number), key)
    age(stored, saga)
    return saga


def dropped(stored, days=30, **more):
    return [(month, number) for month, number in old_months.drop_old(stored.engine, days, **more)]


def test_tables_become_partitions_with_all_that_belongs_to_them(stored):
    running, done = begun(stored, key="k1"), ended(stored)
    before = stored.rows("SELECT indexrelid FROM pg_index WHERE indrelid IN ('saga'::regclass, 'journal'::regclass)")
    policies = "SELECT tablename, policyname, qual, with_check FROM pg_policies ORDER BY 1, 2"
    admitted = stored.rows(policies)
    assert partition(stored.engine)
    assert not partition(stored.engine), "once is enough"
    after = stored.rows("SELECT indexrelid FROM pg_index WHERE indrelid::regclass::text ~ '(saga|journal)_default$'")
    assert sorted(row["indexrelid"] for row in before) == sorted(row["indexrelid"] for row in after), "none is built"
    assert stored.rows(policies) == admitted
    flask_migrate.check()
    cancel(stored, running)
    assert set(places(stored)) == {running.id, done.id}
    assert stored.store().find(running.id).version == 2
    stored.rows("DELETE FROM saga")
    for table in ("journal", "request_key"):
        assert stored.rows(f"SELECT 1 FROM {table}") == []


def test_deletion_of_a_saga_deletes_what_belongs_to_it(stored):
    partition(stored.engine)
    saga = ended(stored)
    belong(stored, saga)
    stored.rows("DELETE FROM saga")
    assert {table: stored.rows(f"SELECT 1 FROM {table}") for table in BELONGING} == {each: [] for each in BELONGING}


def belong(stored, saga):
    for statement in (
        "INSERT INTO arrival (saga_id, name, body, sender, at) VALUES (:id, 'a', '{}', 'ada', now())",
        "INSERT INTO saga_case (saga_id) VALUES (:id)",
        "INSERT INTO saga_tag (saga_id, name, value, definition) VALUES (:id, 'a', 'b', 'checkout')",
        """
        INSERT INTO webhook_delivery (saga_id, seq, event, webhook, url, at, attempts)
        VALUES (:id, 1, 'ended', 'shop', '', now(), 0)
        """,
    ):
        stored.rows(statement, id=saga.id)


def test_new_sagas_lie_in_the_partition_of_their_month(stored):
    partition(stored.engine)
    before = ended(stored)
    made = months.make_ahead(stored.engine)
    present = this_month(stored)
    assert made[0] == present
    assert len(made) == months.AHEAD + 1
    assert months.make_ahead(stored.engine) == []
    saga = begun(stored)
    assert places(stored) == dict.fromkeys((before.id, saga.id), present.of_table("saga")), "an ended one moves"
    assert set(places(stored, "journal", "saga_id").values()) == {present.of_table("journal")}
    parent_step = "UPDATE saga SET parent_id = :parent, parent_step = 'pay', child_number = 1 WHERE id = :id"
    first, second = (begun(stored, child_id(saga.id)) for _ in range(2))
    stored.rows(parent_step, parent=saga.id, id=first.id)
    with pytest.raises(Exception, match="_children"):
        stored.rows(parent_step, parent=saga.id, id=second.id)
    flask_migrate.check()


def test_unfinished_saga_is_not_moved_to_another_partition(stored):
    saga = begun(stored)
    partition(stored.engine)
    assert months.make_ahead(stored.engine)[0] == this_month(stored).next
    assert places(stored) == {saga.id: "saga_default"}


class TestBigTables:
    """The default partitions are too big to be read under a lock."""

    @pytest.fixture(autouse=True)
    def big(self, stored, monkeypatch):
        monkeypatch.setattr(months, "SMALL", 0)
        partition(stored.engine)

    def test_months_of_the_future_are_made_and_their_old_sagas_moved(self, stored):
        following = this_month(stored).next
        inside = ended(stored, in_month(following))
        outside, running = ended(stored), begun(stored)
        assert months.make_ahead(stored.engine) == [], "sagas with random ids come in"
        age(stored, inside)
        assert months.make_ahead(stored.engine)[0] == following
        assert places(stored) == {
            inside.id: following.of_table("saga"), outside.id: "saga_default", running.id: "saga_default",
        }  # fmt: skip
        assert set(places(stored, "journal", "saga_id").items()) >= {(inside.id, following.of_table("journal"))}
        assert stored.rows("SELECT 1 FROM pg_constraint WHERE conname = 'not_in_new_month'") == []

    def test_nothing_is_made_while_an_unfinished_saga_would_have_to_be_moved(self, stored):
        following = this_month(stored).next
        age(stored, begun(stored, in_month(following)))
        assert following not in months.make_ahead(stored.engine)

    def test_check_of_a_process_that_was_killed_is_dropped(self, stored):
        stored.rows("ALTER TABLE saga_default ADD CONSTRAINT not_in_new_month CHECK (false) NOT VALID")
        assert len(months.make_ahead(stored.engine)) == months.AHEAD
        begun(stored)

    def test_failure_leaves_no_check(self, stored, monkeypatch):
        monkeypatch.setattr(months, "_make_tables", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            months.make_ahead(stored.engine)
        begun(stored)


def test_one_process_at_a_time_works_at_the_months(stored):
    partition(stored.engine)
    with months.alone(stored.engine) as mine:
        assert mine
        assert months.make_ahead(stored.engine) == ()
        assert dropped(stored) == []


def test_old_month_is_dropped_with_all_that_belongs_to_its_sagas(stored):
    partition(stored.engine)
    make_old(stored)
    belong(stored, old_one(stored, 1, key="k1"))
    old_one(stored, 2)
    recent, archived = ended(stored, key="k2"), []
    assert dropped(stored, archive=archived.append) == [(OLD, 2)]
    assert archived == [OLD]
    assert set(places(stored)) == set(places(stored, "journal", "saga_id")) == {recent.id}
    assert [row["key"] for row in stored.rows("SELECT key FROM request_key")] == ["k2"]
    assert {table: stored.rows(f"SELECT 1 FROM {table}") for table in BELONGING} == {each: [] for each in BELONGING}
    with stored.engine.connect() as connection:
        assert OLD not in months.months(connection)


HOLDS = {
    "an unfinished saga": "UPDATE saga SET status = 'running' WHERE id = :id",
    "a late move": "UPDATE journal SET at = now() WHERE saga_id = :id AND seq = 2",
    "an event": "INSERT INTO outbox (saga_id, seq, at) VALUES (:id, 1, now())",
    "a message": "INSERT INTO webhook_delivery (saga_id, seq, event, webhook, url, at, attempts, due_at) "
    "VALUES (:id, 1, 'ended', 'shop', '', now(), 0, now())",
    "a parent elsewhere": "UPDATE saga SET parent_id = gen_random_uuid() WHERE id = :id",
    "a child elsewhere": "UPDATE saga SET parent_id = :id WHERE id <> :id",
}


@pytest.mark.parametrize("held", HOLDS.values(), ids=HOLDS)
def test_month_is_kept_while_something_holds_it(stored, held):
    partition(stored.engine)
    make_old(stored)
    saga, other = old_one(stored), ended(stored)
    stored.rows(held, id=saga.id)
    assert dropped(stored) == []
    assert set(places(stored)) == {saga.id, other.id}


@pytest.mark.parametrize("held", list(HOLDS.values())[:4], ids=list(HOLDS)[:4])
def test_month_that_is_held_since_it_was_archived_is_kept(stored, held):
    partition(stored.engine)
    make_old(stored)
    saga = old_one(stored)
    assert dropped(stored, archive=lambda _: stored.rows(held, id=saga.id)) == []
    assert set(places(stored)) == {saga.id}


def test_detached_month_of_a_process_that_was_killed_is_dropped(stored, monkeypatch):
    partition(stored.engine)
    make_old(stored)
    old_one(stored, key="k1")
    with monkeypatch.context() as patched:
        patched.setattr(old_months, "_drop", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            dropped(stored)
    assert places(stored) == {}
    assert len(stored.rows("SELECT key FROM request_key")) == 1
    assert dropped(stored) == [(OLD, 1)]
    assert stored.rows("SELECT key FROM request_key") == []


def test_keys_of_a_dropped_month_have_a_retention_of_their_own(stored):
    partition(stored.engine)
    make_old(stored)
    for number, key in enumerate(("old", "young"), 1):
        old_one(stored, number, key)
    stored.rows("UPDATE request_key SET at = now() - interval '70 days' WHERE key = 'old'")
    assert dropped(stored, keys_days=60) == [(OLD, 2)]
    assert [row["key"] for row in stored.rows("SELECT key FROM request_key")] == ["young"]


def test_sagas_of_a_month_that_ends_later_wait_for_it(stored):
    partition(stored.engine)
    make_old(stored)
    saga = old_one(stored)
    within = (datetime.now(UTC) - datetime(2024, 2, 20, tzinfo=UTC)).days
    assert dropped(stored, days=within) == []
    assert retention.ended_before(within, 10) == []
    assert [row.id for row in retention.ended_before(within - 20, 10)] == [saga.id], "if something holds the month"


def test_retention_makes_and_drops_months_by_itself(stored):
    partition(stored.engine)
    make_old(stored)
    old_one(stored)
    retaining = Retention(
        30, Turns(stored.engine), services().bulk_jobs.store, CollectorRegistry(), context=nullcontext,
        stopping=threading.Event(),
    )  # fmt: skip
    assert retaining.step() == 1
    assert set(places(stored).values()) == set()
    with stored.engine.connect() as connection:
        assert len(months.months(connection)) == months.AHEAD + 1


class Writer(threading.Thread):
    """Starts and moves sagas all the time with the statements of the engine, which are prepared."""

    def __init__(self, stored):
        super().__init__()
        self.stopping, self.error, self.longest_s, self.sagas = threading.Event(), None, 0.0, 0
        self._stored = stored

    def run(self):
        try:
            while not self.stopping.wait(0.002):
                began = time.monotonic()
                saga = ended(self._stored)
                assert self._stored.store().find(saga.id).version == 2
                self.longest_s, self.sagas = max(self.longest_s, time.monotonic() - began), self.sagas + 1
        except Exception as error:  # noqa: BLE001  the test shows it
            self.error = error


@pytest.mark.parametrize("small", [months.SMALL, 0])
def test_no_write_fails_or_waits_long_meanwhile(stored, monkeypatch, small):
    monkeypatch.setattr(months, "SMALL", small)
    writers = [Writer(stored) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        partition(stored.engine)
        assert len(months.make_ahead(stored.engine)) >= months.AHEAD
        make_old(stored)
        assert dropped(stored) == [(OLD, 0)]
        seen = [writer.sagas for writer in writers]
        until = time.monotonic() + 10
        while any(writer.sagas < before + 5 for writer, before in zip(writers, seen, strict=True)):
            assert time.monotonic() < until, [writer.error for writer in writers]
            writers[0].join(0.01)
    finally:
        for writer in writers:
            writer.stopping.set()
        for writer in writers:
            writer.join()
    assert [writer.error for writer in writers] == [None, None, None]
    assert max(writer.longest_s for writer in writers) < 5, "three statements, on a machine with other work"


def test_documented_restore_brings_the_partitions_back(stored, store_url, tmp_path):
    """With --clean alone, pg_restore fails at the keys that the partitions inherit."""
    partition(stored.engine)
    months.make_ahead(stored.engine)
    begun(stored, key="k1")
    before = places(stored)
    documented = re.findall(r"pg_restore -U saga_user -d postgres (.+) < saga.dump", OPERATIONS.read_text())
    assert len(documented) == 1
    dump, programs = str(tmp_path / "saga.dump"), wheel_programs()
    subprocess.run([programs / "pg_dump", "-Fc", "-f", dump, store_url], check=True)
    begun(stored)
    for engine in (stored.engine, db.engine):
        engine.dispose()
    name = make_url(store_url).database
    restore = [programs / "pg_restore", "-d", store_url.replace(f"/{name}", "/postgres", 1)]
    subprocess.run([*restore, "--exit-on-error", *documented[0].split(), dump], check=True)
    assert places(stored) == before
