"""SIGKILL at every boundary of a callback, a signal and a timer, then a restart: nothing is lost or doubled."""

import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select, update

from app import create_app
from app.config import from_environment
from app.engine.reply_urls import reply_url
from app.errors import StillRunningError
from app.services import Services, services
from app.store.arrivals import Signal
from app.store.database import db, in_seconds
from app.store.models import SagaRow
from machines.replies import Reply
from tests.e2e.family import Book
from tests.e2e.patience import BOUNDARIES, RUNS, SAGAS, PatientRun
from tests.support.sweep import swept

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["app.factory", "tests.e2e.test_wait_crash"])

PAST = datetime(2020, 1, 31, 3, tzinfo=UTC)
KEY = "k"


@pytest.fixture
def book() -> Iterator[Book]:
    made = Book()
    made.accepted = frozenset({"pack"})
    yield made
    made.close()


def settings_of(url: str, shop_url: str, failpoint: str = "") -> dict[str, str]:
    return {
        "DATABASE_URL": url, "SAGAS": str(SAGAS), "PARTICIPANT_SHOP_URL": shop_url, "FAILPOINT": failpoint,
        "PUBLIC_URL": "https://sagas.example", "SECRET_KEY": "s" * 32,
    }  # fmt: skip


def drive(url: str, shop_url: str, failpoint: str, run: PatientRun) -> None:
    """Start the saga, or find the one that was started, and run it to its end. Let come what it waits for."""
    app = create_app(from_environment(settings_of(url, shop_url, failpoint)))
    parts = services(app)
    try:
        saga_id = parts.sagas.create("parcel", {"customer": "Ada"}, KEY, start_at=PAST).id
    except StillRunningError as error:
        saga_id = UUID(str(error.members["saga_id"]))
    if run.early:
        signal(parts, saga_id)
    runner = parts.runner
    runner._leases.expire_all()
    while claimed := runner._leases.claim(1, 30):
        runner._engine.run(claimed[0], 0)
        row = parts.sagas.find(saga_id)
        if row.status == "waiting":
            with app.app_context():
                come(parts, row, run, settings_of(url, shop_url))
        runner._leases.expire_all()


def come(parts: Services, row: SagaRow, run: PatientRun, settings: dict[str, str]) -> None:
    """Let the event come that ends the saga's wait in this run. A saga that has received it already runs on."""
    if row.state == "AWAITING_PACK" and run.answers:
        token = reply_url(from_environment(settings), row.id, "pack").rpartition("/")[2]
        parts.answers.take(row.id, "pack", token, Reply(status=200, body={}))
    elif row.state == "PACKED" and run.agrees is not None:
        signal(parts, row.id, agrees=run.agrees)
    else:
        db.session.execute(update(SagaRow).values(entered_at=in_seconds(-7_200)))
        db.session.commit()


def signal(parts: Services, saga_id, *, agrees: bool = True) -> None:
    parts.sagas.signal(saga_id, Signal(name="agree", body={"yes": agrees}, sender="api:shop", key=KEY), 0.0)


def in_a_process(*arguments) -> int | None:
    process = processes.Process(target=drive, args=arguments)
    process.start()
    process.join(60)
    return process.exitcode


def assert_ended(url: str, run: PatientRun, book: Book) -> None:
    app = create_app(from_environment(settings_of(url, "http://127.0.0.1:9")))
    with app.app_context():
        rows = [(row.state, row.owner, row.due_at) for row in db.session.scalars(select(SagaRow))]
        db.engine.dispose()
    assert rows == [(run.end, None, None)]
    assert book.standing() == ({"pack": 1, "pay": 1} if run.end == "PAID" else {})
    assert max(book.changes.values()) == 1, "an action was done or undone twice"


@pytest.mark.parametrize(("store_url", "run", "place", "number"), swept(BOUNDARIES), indirect=["store_url"], ids=str)
def test_a_crash_at_this_boundary_of_a_wait_loses_and_doubles_nothing(store_url, book, run, place, number):
    assert in_a_process(store_url, book.url, f"{place}:{number}", run) == -9
    assert in_a_process(store_url, book.url, "", run) == 0
    assert_ended(store_url, run, book)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("run", RUNS, ids=str)
@pytest.mark.parametrize("what", ["commit", "send", "arrival"])
def test_list_of_boundaries_of_waits_is_complete(store_url, book, run, what):
    """A process with a boundary after the last one of the list runs to its end and is not killed."""
    last = {"commit": run.commits, "send": run.sends, "arrival": run.arrivals}[what]
    assert in_a_process(store_url, book.url, f"after_{what}:{last + 1}", run) == 0
    assert_ended(store_url, run, book)
