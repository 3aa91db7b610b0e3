"""SIGKILL at every boundary between two stages of every saga, then a restart: nothing is lost, nothing is doubled.

Each crash kills a real process in the middle of its work on a real database. The participants keep running, and their
books show what happened. By default, one third of the boundaries is tested on SQLite and another third on PostgreSQL.
CHAOS=full (`make chaos`) tests all boundaries on both.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from app import create_app
from app.config import from_environment
from app.services import services
from app.store.database import db
from app.store.models import SagaRow
from machines.purchase import PURCHASE
from tests.e2e.crashing import (
    BATCH_BOUNDARIES,
    BOUNDARIES,
    CALLBACK_BOUNDARIES,
    LATER_START_BOUNDARIES,
    RUNS,
    SCHEDULE_BOUNDARIES,
    Run,
)
from tests.e2e.crashing import PURCHASE as BUY
from tests.e2e.family import BOUNDARIES as FAMILY_BOUNDARIES
from tests.e2e.patience import BOUNDARIES as PATIENT_BOUNDARIES
from tests.e2e.press import POLLED_BOUNDARIES, POLLED_RUNS, SAGAS, Press
from tests.support.sweep import swept

# The fork server imports the application once, so a process starts in milliseconds instead of a second.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["app.factory", "tests.e2e.test_crash"])


def make_app(url: str, participants_url: str, failpoint: str = ""):
    settings = from_environment({"DATABASE_URL": url, "PARTICIPANTS_URL": participants_url, "FAILPOINT": failpoint})
    return create_app(settings)


def begin(url: str, participants_url: str, failpoint: str, run: Run) -> None:
    data = run.data or a_return(url, participants_url)
    services(make_app(url, participants_url, failpoint)).sagas.start(run.saga, data)


def a_return(url: str, participants_url: str) -> dict[str, Any]:
    """Make a purchase and return the data of a saga that returns it."""
    app = make_app(url, participants_url)
    bought = services(app).sagas.start(PURCHASE.name, BUY | {"customer_id": 123})
    sale = services(app).runner._engine.store.read(bought.id).results["CREATE_SALE"]
    item = {"product_id": 456, "quantity": 1, "reason": "defective"}
    return {"sale_id": sale["vente_id"], "customer_id": 123, "items": [item], "refund_amount": 29.99}


def recover(url: str, participants_url: str) -> None:
    runner = services(make_app(url, participants_url)).runner
    runner._leases.expire_all()
    while runner.claim_due():
        pass
    runner.pool.shutdown()


def give_up(url: str, participants_url: str, saga_id: UUID) -> None:
    """Compensate the saga. A person does this after finding out that the refused pivot did not happen."""
    services(make_app(url, participants_url)).sagas.compensate(saga_id, "ada", "sales has no such sale")


def in_a_process(target, *arguments) -> int | None:
    process = processes.Process(target=target, args=arguments)
    process.start()
    process.join(60)
    return process.exitcode


def begun(url: str, run: Run) -> dict[UUID, SagaRow]:
    app = make_app(url, "http://127.0.0.1:9")
    with app.app_context():
        rows = {row.id: row for row in db.session.scalars(select(SagaRow).where(SagaRow.definition == run.saga))}
        db.engine.dispose()
    return rows


@pytest.mark.parametrize(("store_url", "run", "place", "number"), swept(BOUNDARIES), indirect=["store_url"], ids=str)
def test_a_crash_at_this_boundary_loses_and_doubles_nothing(store_url, participants, run, place, number):
    assert in_a_process(begin, store_url, participants.url, f"{place}:{number}", run) == -9
    assert in_a_process(recover, store_url, participants.url) == 0
    sagas = begun(store_url, run)
    assert len(sagas) == run.promised(place, number)
    stands = run.stands(place, number)
    assert [(row.state, row.due_at) for row in sagas.values()] == [(stands, None)] * len(sagas)
    if stands != run.end:
        assert in_a_process(give_up, store_url, participants.url, *sagas) == 0
        sagas = begun(store_url, run)
    for saga_id, row in sagas.items():
        assert (row.state, row.due_at) == (run.end, None)
        effects = participants.effects(str(saga_id))
        assert {step: effects[step] for step in run.effects} == run.effects
    participants.assert_balanced()


def begin_many(url: str, participants_url: str, failpoint: str) -> None:
    """Start sagas at the same time. One statement is on its way at once, so their commits are written together."""
    parts = services(make_app(url, participants_url, failpoint))
    store = parts.runner._engine.store
    store.saves.at_once = store.inserts.at_once = 1
    data = {"client_id": 4, "magasin_id": 1}
    with ThreadPoolExecutor(12) as threads:
        list(threads.map(lambda _number: parts.sagas.start("checkout", data), range(24)))


@pytest.mark.parametrize(("store_url", "place", "number"), swept(BATCH_BOUNDARIES), indirect=["store_url"])
def test_a_crash_around_a_batch_loses_and_doubles_nothing(store_url, participants, place, number):
    run = RUNS[0]
    assert in_a_process(begin_many, store_url, participants.url, f"{place}:{number}") == -9
    assert in_a_process(recover, store_url, participants.url) == 0
    sagas = begun(store_url, run)
    # Before the first batch only the commit that went alone is durable. On SQLite a batch has starts, too.
    assert len(sagas) >= (1 if place.startswith("before") and number == 1 else 2)
    for saga_id, row in sagas.items():
        assert (row.state, row.due_at) == (run.end, None)
        effects = participants.effects(str(saga_id))
        assert {step: effects[step] for step in run.effects} == run.effects
    participants.assert_balanced()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("run", RUNS, ids=str)
def test_list_of_boundaries_is_complete(store_url, participants, run):
    """A process with a boundary after the last one of the list runs to its end and is not killed."""
    for place in (f"after_commit:{run.commits + 1}", f"before_send:{run.sends + 1}"):
        assert in_a_process(begin, store_url, participants.url, place, run) == 0


@pytest.fixture
def press() -> Iterator[Press]:
    made = Press()
    yield made
    made.close()


def make_press_app(url: str, press_url: str, failpoint: str = ""):
    settings = {"DATABASE_URL": url, "SAGAS": str(SAGAS), "PARTICIPANT_PRESS_URL": press_url, "FAILPOINT": failpoint}
    return create_app(from_environment(settings))


def drive(url: str, press_url: str, failpoint: str = "", *, start: bool = False) -> None:
    """Claim the sagas and run them until all have ended. A wait between two polls ends at once."""
    parts = services(make_press_app(url, press_url, failpoint))
    if start:
        parts.sagas.start("printing", {"customer": "Ada"})
    runner = parts.runner
    runner._leases.expire_all()
    while claimed := runner._leases.claim(1, 30):
        runner._engine.run(claimed[0], 0)
        runner._leases.expire_all()


def start_and_drive(url: str, press_url: str, failpoint: str) -> None:
    drive(url, press_url, failpoint, start=True)


def printings(url: str) -> list[tuple[str, object]]:
    app = make_press_app(url, "http://127.0.0.1:9")
    with app.app_context():
        rows = [(row.state, row.due_at) for row in db.session.scalars(select(SagaRow))]
        db.engine.dispose()
    return rows


@pytest.mark.parametrize(
    ("store_url", "run", "place", "number"), swept(POLLED_BOUNDARIES), indirect=["store_url"], ids=str
)
def test_a_process_takes_over_the_polls_of_one_that_was_killed(store_url, press, run, place, number):
    press.polls = run.polls
    assert in_a_process(start_and_drive, store_url, press.url, f"{place}:{number}") == -9
    assert in_a_process(drive, store_url, press.url) == 0
    if (place, number) == ("before_commit", 1):
        assert (printings(store_url), press.sent()) == ([], {})
        return
    assert printings(store_url) == [(run.end, None)]
    sent = press.sent()
    assert set(sent) == run.actions(place, number)
    lost_202 = (place, number) in {("after_send", 1), ("before_commit", 2)}
    assert sent["print/do"] == 1 + lost_202, "after the commit of the 202, the job is asked for and not sent again"
    assert press.requests["poll"] >= len(run.polls)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("run", POLLED_RUNS, ids=str)
def test_list_of_boundaries_of_polls_is_complete(store_url, press, run):
    for place in (f"after_commit:{run.commits + 1}", f"before_send:{run.sends + 1}"):
        press.polls, press.requests = run.polls, type(press.requests)()
        assert in_a_process(start_and_drive, store_url, press.url, place) == 0


def test_reliability_page_counts_every_boundary():
    every = [
        *BOUNDARIES, *POLLED_BOUNDARIES, *PATIENT_BOUNDARIES, *FAMILY_BOUNDARIES, *CALLBACK_BOUNDARIES,
        *LATER_START_BOUNDARIES, *SCHEDULE_BOUNDARIES, *BATCH_BOUNDARIES,
    ]  # fmt: skip
    count = len(every)
    page = (Path(__file__).parents[2] / "docs/reliability.md").read_text()
    assert f"{count} of {count} boundaries converge on SQLite and {count} of {count} on PostgreSQL" in page
