"""A schedule starts exactly one saga for each of its times, even when processes overlap or die."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.engine.schedules import NewSchedule, Schedules, key_of
from app.errors import ConflictError, InvalidError, NotFoundError
from app.store.audit import Entry
from app.store.schedules import OvertakenError, ScheduleStore
from app.store.tables import Tables
from app.views.schedules import checked_data
from machines.registry import Registry
from tests.integration.engine.inputs import CART
from tests.integration.engine.scene import Scene

MIDNIGHT = datetime(2027, 1, 31, tzinfo=UTC)
ADA = Entry(actor="user:ada", action="schedule.test")


@dataclass
class Replica:
    """One process with its own clock."""

    scene: Scene
    now: datetime = MIDNIGHT

    def __post_init__(self) -> None:
        tables = Tables(self.scene.database, self.scene.registry, "engine")
        tables.compare()
        self.store = ScheduleStore(self.scene.database, self.scene.registry)
        self.schedules = Schedules(
            self.scene.engine, self.scene.keys, self.scene.registry, tables, self.store, checked_data, lambda: self.now
        )

    def add(self, name: str = "nightly", **columns: Any) -> None:
        usual = {"definition": "checkout", "data": CART, "cron": "0 3 * * *", "zone": "UTC", "overlaps": False}
        self.schedules.add(NewSchedule(name=name, **(usual | columns)), ADA)

    def at(self, text: str) -> None:
        """Set the clock to `text`, and let this process start the sagas that are due."""
        self.now = datetime.fromisoformat(text).replace(tzinfo=UTC)
        self.schedules.start_due()

    def row(self, name: str = "nightly") -> Any:
        return self.store.find(name)


@pytest.fixture
def replica(scene: Scene) -> Replica:
    return Replica(scene)


def keys(scene: Scene) -> list[str]:
    return [row["idempotency_key"] for row in scene.rows("SELECT idempotency_key FROM saga ORDER BY idempotency_key")]


def finish(scene: Scene) -> None:
    for saga in scene.leases("other").claim(10, 30):
        scene.engine.run(saga, 0)


def test_a_saga_starts_at_each_time_and_runs_as_any_other(scene, replica):
    replica.add()
    replica.at("2027-01-31T02:59:59")
    assert keys(scene) == []
    replica.at("2027-01-31T03:00:00")
    assert keys(scene) == ["schedule/nightly/2027-01-31T03:00Z"]
    (row,) = scene.rows("SELECT status, owner, started_by FROM saga")
    assert dict(row) == {"status": "running", "owner": None, "started_by": "schedule:nightly"}
    finish(scene)
    assert scene.rows("SELECT status FROM saga")[0]["status"] == "completed"
    replica.at("2027-01-31T03:00:01")
    replica.at("2027-02-01T03:00:00")
    assert keys(scene) == ["schedule/nightly/2027-01-31T03:00Z", "schedule/nightly/2027-02-01T03:00Z"]
    after = replica.row()
    assert (after.next_at, after.last_at) == (
        MIDNIGHT + timedelta(days=2, hours=3),
        MIDNIGHT + timedelta(days=1, hours=3),
    )
    assert after.last_result == "started"


def test_missed_times_are_made_up_for_once(scene, replica):
    replica.add()
    replica.at("2027-02-07T12:00")
    finish(scene)
    replica.at("2027-02-07T12:01")
    assert keys(scene) == ["schedule/nightly/2027-01-31T03:00Z"]
    assert replica.row().next_at == datetime(2027, 2, 8, 3, tzinfo=UTC)


def test_a_time_is_skipped_while_the_saga_before_has_not_ended(scene, replica):
    replica.add()
    replica.at("2027-01-31T03:00")
    replica.at("2027-02-01T03:00")
    first = replica.row().last_saga_id
    assert replica.row().last_result == f"skipped: saga {first} has not ended"
    assert len(keys(scene)) == 1
    finish(scene)
    replica.at("2027-02-02T03:00")
    assert keys(scene)[1:] == ["schedule/nightly/2027-02-02T03:00Z"]


def test_sagas_overlap_where_the_schedule_allows_it(scene, replica):
    replica.add(overlaps=True)
    for day in (1, 2):
        replica.at(f"2027-02-0{day}T03:00")
    assert len(keys(scene)) == 2


def test_a_paused_schedule_starts_nothing_and_makes_nothing_up(scene, replica):
    replica.add()
    replica.schedules.pause("nightly", ADA)
    replica.at("2027-02-03T12:00")
    replica.schedules.resume("nightly", ADA)
    replica.at("2027-02-03T12:01")
    assert (keys(scene), replica.row().next_at) == ([], datetime(2027, 2, 4, 3, tzinfo=UTC))
    with pytest.raises(ConflictError, match="is not paused"):
        replica.schedules.resume("nightly", ADA)
    replica.schedules.pause("nightly", ADA)
    with pytest.raises(ConflictError, match="is paused already"):
        replica.schedules.pause("nightly", ADA)


def test_a_removed_schedule_starts_nothing_and_its_sagas_stay(scene, replica):
    replica.add()
    replica.at("2027-01-31T03:00")
    replica.store.remove("nightly", ADA)
    replica.at("2027-02-01T03:00")
    assert len(keys(scene)) == 1
    with pytest.raises(NotFoundError):
        replica.store.remove("nightly", ADA)


def test_each_change_has_its_audit_row(scene, replica):
    replica.add()
    with pytest.raises(ConflictError, match="there is a schedule nightly already"):
        replica.add()
    replica.schedules.pause("nightly", ADA)
    assert len(scene.rows("SELECT seq FROM audit")) == 2


# Processes that act at the same time, and processes that die.


def change(replica: Replica, **values: Any) -> None:
    replica.schedules.change("nightly", values, lambda _before: ADA)


def test_a_changed_time_counts_from_the_change(scene, replica):
    replica.add()
    replica.now = datetime(2027, 1, 31, 1, tzinfo=UTC)
    change(replica, cron="0 2 * * *", zone="UTC")
    replica.at("2027-01-31T02:30")
    replica.at("2027-01-31T03:30")
    assert keys(scene) == ["schedule/nightly/2027-01-31T02:00Z"]


@pytest.mark.parametrize("noticed", [True, False])
def test_a_time_that_is_due_is_started_whether_or_not_it_was_noticed_before_the_change(scene, replica, noticed):
    replica.add()
    if noticed:
        replica.at("2027-01-31T03:00:01")
    replica.now = datetime(2027, 1, 31, 3, 0, 2, tzinfo=UTC)
    change(replica, cron="30 3 * * *", overlaps=True)
    replica.at("2027-01-31T03:00:03")
    assert keys(scene) == ["schedule/nightly/2027-01-31T03:00Z"]
    replica.at("2027-01-31T03:30:01")
    replica.at("2027-01-31T04:00:01")
    assert keys(scene) == ["schedule/nightly/2027-01-31T03:00Z", "schedule/nightly/2027-01-31T03:30Z"]


def test_changed_data_is_that_of_a_time_that_is_due(scene, replica):
    replica.add()
    replica.now = datetime(2027, 1, 31, 3, 0, 1, tzinfo=UTC)
    change(replica, data=CART | {"client_id": 7})
    replica.at("2027-01-31T03:00:02")
    row = scene.engine.store.find(replica.row().last_saga_id)
    assert (row.data["client_id"], replica.row().next_at) == (7, datetime(2027, 2, 1, 3, tzinfo=UTC))


def test_a_paused_schedule_stays_paused_after_a_change(scene, replica):
    replica.add()
    replica.schedules.pause("nightly", ADA)
    change(replica, cron="0 5 * * *")
    assert replica.row().next_at is None
    replica.schedules.resume("nightly", ADA)
    assert replica.row().next_at == datetime(2027, 1, 31, 5, tzinfo=UTC)


def test_a_change_at_the_last_moment_wins(scene, replica, monkeypatch):
    """The process has read the schedule, and the change comes before its commit: the new data starts the time."""
    replica.add()
    insert_all = scene.engine.insert_all

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(type(scene.engine), "insert_all", lambda _engine, *given: insert_all(*given))
        change(replica, data=CART | {"client_id": 7})
        insert_all(*arguments)

    monkeypatch.setattr(type(scene.engine), "insert_all", lambda _engine, *arguments: late(*arguments))
    replica.at("2027-01-31T03:00:01")
    assert keys(scene) == []
    replica.at("2027-01-31T03:00:02")
    assert keys(scene) == ["schedule/nightly/2027-01-31T03:00Z"]
    assert scene.engine.store.find(replica.row().last_saga_id).data["client_id"] == 7


def test_a_wrong_change_changes_nothing(replica):
    replica.add()
    before = replica.row()
    with pytest.raises(InvalidError):
        change(replica, cron="0 3 31 2 *")
    with pytest.raises(NotFoundError):
        replica.schedules.change("weekly", {"cron": "0 3 * * *"}, lambda _before: ADA)
    assert replica.row() == before


def test_two_processes_that_see_the_same_time_start_one_saga(scene, replica):
    replica.add(overlaps=True)
    seen = replica.row()
    following = MIDNIGHT + timedelta(days=1, hours=3)
    replica.schedules._start(seen, following)
    with pytest.raises(OvertakenError):
        replica.schedules._start(seen, following)
    assert len(keys(scene)) == 1


def test_the_version_decides_while_both_processes_are_about_to_insert(scene, replica, monkeypatch):
    replica.add(overlaps=True)
    other, insert_all = Replica(scene), scene.engine.store.insert_all

    def meet(*arguments: Any) -> None:
        monkeypatch.setattr(scene.engine.store, "insert_all", insert_all)
        other.at("2027-01-31T03:00")
        insert_all(*arguments)

    monkeypatch.setattr(scene.engine.store, "insert_all", meet)
    replica.at("2027-01-31T03:00")
    assert len(keys(scene)) == 1
    assert (replica.row().last_result, replica.row().version) == ("started", 2)


def test_a_pause_at_the_last_moment_wins(scene, replica, monkeypatch):
    replica.add()
    insert_all = scene.engine.store.insert_all

    def pause_first(*arguments: Any) -> None:
        replica.schedules.pause("nightly", ADA)
        insert_all(*arguments)

    monkeypatch.setattr(scene.engine.store, "insert_all", pause_first)
    replica.at("2027-01-31T03:00")
    assert (keys(scene), replica.row().next_at) == ([], None)


class DiedError(Exception):
    """Raised in place of the death of the process."""


@pytest.mark.parametrize("place", ["before the commit", "within the transaction", "after the commit"])
def test_a_process_that_dies_leaves_one_saga_for_the_time(scene, replica, monkeypatch, place):
    replica.add(overlaps=True)
    store, insert_all, within = scene.engine.store, scene.engine.store.insert_all, scene.engine.store._insert_within

    def die(*arguments: Any) -> None:
        if place == "after the commit":
            insert_all(*arguments)
        raise DiedError

    def die_within(*arguments: Any) -> None:
        within(*arguments)
        raise DiedError

    if place == "within the transaction":
        monkeypatch.setattr(store, "_insert_within", die_within)
    else:
        monkeypatch.setattr(store, "insert_all", die)
    with pytest.raises(DiedError):
        replica.at("2027-01-31T03:00")
    assert len(keys(scene)) == (place == "after the commit")
    monkeypatch.undo()
    Replica(scene).at("2027-01-31T03:01")
    assert keys(scene) == ["schedule/nightly/2027-01-31T03:00Z"]
    assert replica.row().last_result == "started"
    finish(scene)
    assert scene.rows("SELECT status FROM saga")[0]["status"] == "completed"


def test_the_key_refuses_a_second_saga_after_the_schedule_was_restored(scene, replica):
    replica.add()
    replica.at("2027-01-31T03:00")
    first = replica.row().last_saga_id
    with scene.database.connect() as connection:
        connection.exec_driver_sql(
            "UPDATE schedule SET next_at = '2027-01-31 03:00:00.000000+00:00', last_saga_id = NULL"
            if scene.database.dialect.name == "postgresql"
            else "UPDATE schedule SET next_at = '2027-01-31 03:00:00.000000', last_saga_id = NULL"
        )
    replica.at("2027-01-31T03:05")
    assert keys(scene) == ["schedule/nightly/2027-01-31T03:00Z"]
    assert (replica.row().last_saga_id, replica.row().last_result) == (first, "started")


def test_a_client_cannot_take_the_key_of_a_schedule(scene, replica):
    replica.add()
    taken = key_of("nightly", MIDNIGHT + timedelta(hours=3))
    scene.service.create("checkout", CART, taken, by="key:shop")
    replica.at("2027-01-31T03:00")
    assert len(keys(scene)) == 2
    assert replica.row().last_result == "started"


def test_a_clock_that_is_an_hour_fast_starts_no_time_twice(scene, replica):
    fast = Replica(scene)
    replica.add(overlaps=True, cron="30 * * * *")
    fast.at("2027-01-31T01:31")
    replica.at("2027-01-31T00:31")
    replica.at("2027-01-31T01:31")
    fast.at("2027-01-31T02:31")
    assert len(keys(scene)) == len(set(keys(scene))) == 2


# Schedules whose data, table, zone or time is unknown or wrong.


def test_data_that_no_longer_fit_are_named_and_the_next_time_comes(scene, replica):
    replica.add(data={"client_id": 4})
    replica.at("2027-01-31T03:00")
    assert keys(scene) == []
    assert replica.row().last_result == "not started: /data/magasin_id: Missing data for required field."
    assert replica.row().next_at == MIDNIGHT + timedelta(days=1, hours=3)


def test_a_schedule_waits_for_a_release_that_has_its_table(scene, replica):
    replica.add()
    other = Replica(scene)
    other.schedules._registry = Registry([scene.registry.latest("commande")])
    other.at("2027-01-31T03:00")
    assert (keys(scene), replica.row().version) == ([], 1)
    replica.at("2027-01-31T03:01")
    assert len(keys(scene)) == 1


def test_a_zone_that_this_machine_does_not_know_stops_no_other_schedule(scene, replica):
    replica.add("a_first")
    replica.add("second")
    with scene.database.connect() as connection:
        connection.exec_driver_sql("UPDATE schedule SET zone = 'Mars/Olympus' WHERE name = 'a_first'")
    replica.at("2027-01-31T03:00")
    assert keys(scene) == ["schedule/second/2027-01-31T03:00Z"]


def test_a_wrong_time_is_no_schedule(scene, replica):
    with pytest.raises(InvalidError):
        replica.add(cron="never")
    assert replica.store.all() == []


def test_the_times_of_the_database_are_the_default_clock(scene, replica):
    assert abs(replica.store.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_times_of_a_zone_are_its_own(scene, replica):
    replica.add(zone="Europe/Paris")
    replica.at("2027-01-31T02:00")
    assert keys(scene) == ["schedule/nightly/2027-01-31T02:00Z"]
