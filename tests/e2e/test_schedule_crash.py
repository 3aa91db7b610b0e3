"""SIGKILL at every boundary of a later start and of a schedule: one saga for each time, and nothing is lost."""

import multiprocessing
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text

from app import create_app
from app.config import from_environment
from app.services import services
from app.store.database import db
from app.store.models import SagaRow
from app.store.process_models import ScheduleRow
from app.views.schedules import added_entry, new_schedule
from tests.e2e.crashing import LATER_START_BOUNDARIES, SCHEDULE_BOUNDARIES

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["app.factory", "tests.e2e.test_schedule_crash"])

CART = {"client_id": 4, "magasin_id": 1}
PAST = datetime(2020, 1, 31, 3, tzinfo=UTC)


def make_app(url: str, participants_url: str, failpoint: str = ""):
    settings = {"DATABASE_URL": url, "PARTICIPANTS_URL": participants_url, "FAILPOINT": failpoint}
    return create_app(from_environment(settings))


def create(url: str, participants_url: str) -> None:
    services(make_app(url, participants_url)).sagas.create("checkout", CART, start_at=PAST)


def schedule(url: str, participants_url: str) -> None:
    """Add a schedule whose time has come."""
    app = make_app(url, participants_url)
    registry = services(app).registry
    given = {"name": "hourly", "type": "checkout", "data": CART, "cron": "0 * * * *"}
    new = new_schedule(registry, given)
    services(app).schedules.add(new, added_entry(registry, new, "user:ada"))
    with app.app_context():
        db.session.execute(text("UPDATE schedule SET next_at = '2020-01-31 03:00:00.000000'"))
        db.session.commit()


def look(url: str, participants_url: str, failpoint: str = "") -> None:
    """Do what the recovery thread does, until nothing is due."""
    app = make_app(url, participants_url, failpoint)
    runner = services(app).runner
    runner.tables.compare()
    runner._leases.expire_all()
    services(app).schedules.start_due()
    while runner.claim_due():
        pass
    runner.pool.shutdown()


def in_a_process(target, *arguments) -> int | None:
    process = processes.Process(target=target, args=arguments)
    process.start()
    process.join(60)
    return process.exitcode


def stored(url: str):
    app = make_app(url, "http://127.0.0.1:9")
    with app.app_context():
        sagas, schedules = db.session.scalars(select(SagaRow)).all(), db.session.scalars(select(ScheduleRow)).all()
        db.engine.dispose()
    return sagas, schedules


@pytest.mark.parametrize("place", LATER_START_BOUNDARIES)
def test_a_later_start_that_is_killed_ends_once(store_url, participants, place):
    assert in_a_process(create, store_url, participants.url) == 0
    assert in_a_process(look, store_url, participants.url, place) == -9
    assert in_a_process(look, store_url, participants.url) == 0
    (saga,), _ = stored(store_url)
    assert (saga.state, saga.due_at) == ("CONFIRMEE", None)
    effects = participants.effects(str(saga.id))
    assert {effects[step] for step in ("reserver_stock", "payer", "enregistrer_vente", "confirmer")} == {"done"}
    participants.assert_balanced()


@pytest.mark.parametrize("place", SCHEDULE_BOUNDARIES)
def test_a_schedule_whose_process_is_killed_starts_one_saga(store_url, participants, place):
    assert in_a_process(schedule, store_url, participants.url) == 0
    assert in_a_process(look, store_url, participants.url, place) == -9
    assert len(stored(store_url)[0]) == (place != "before_commit:1")
    assert in_a_process(look, store_url, participants.url) == 0
    (saga,), (row,) = stored(store_url)
    assert (saga.idempotency_key, saga.state) == ("schedule/hourly/2020-01-31T03:00Z", "CONFIRMEE")
    assert (row.last_saga_id, row.last_at, row.next_at > datetime.now(UTC)) == (saga.id, PAST, True)
    participants.assert_balanced()
