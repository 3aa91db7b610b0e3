"""SIGKILL at every boundary of a saga and its children, then a restart: no child and no wake-up is lost or doubled."""

import multiprocessing
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import select, update

from app import create_app
from app.config import from_environment
from app.services import services
from app.store.database import db, db_now
from app.store.instance import Instance
from app.store.models import SagaRow
from tests.e2e.family import BOUNDARIES, RUNS, SAGAS, Book, FamilyRun
from tests.support.sweep import swept

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["app.factory", "tests.e2e.test_family_crash"])


@pytest.fixture
def book() -> Iterator[Book]:
    made = Book()
    yield made
    made.close()


def make_app(url: str, shop_url: str, failpoint: str = ""):
    settings = {"DATABASE_URL": url, "SAGAS": str(SAGAS), "PARTICIPANT_SHOP_URL": shop_url, "FAILPOINT": failpoint}
    return create_app(from_environment(settings))


def drive(url: str, shop_url: str, failpoint: str = "", run: FamilyRun | None = None) -> None:
    """Start the saga of `run`, if any, and run every saga that is due. Only the leases of dead processes end early."""
    app = make_app(url, shop_url, failpoint)
    parts = services(app)
    engine, leases = parts.runner._engine, parts.runner._leases
    if run:
        engine.run(Instance.new(parts.registry.latest(run.saga), run.data, actor="client"), 0)
    else:
        with app.app_context():
            db.session.execute(update(SagaRow).where(SagaRow.owner.is_not(None)).values(owner=None, due_at=db_now()))
            db.session.commit()
    while claimed := leases.claim(1, 30):
        engine.run(claimed[0], 0)


def in_a_process(target, *arguments) -> int | None:
    process = processes.Process(target=target, args=arguments)
    process.start()
    process.join(60)
    return process.exitcode


def stored(url: str) -> list[SagaRow]:
    with make_app(url, "http://127.0.0.1:9").app_context():
        rows = list(db.session.scalars(select(SagaRow)))
        db.engine.dispose()
    return rows


def assert_ended(url: str, run: FamilyRun, book: Book) -> None:
    rows = stored(url)
    assert Counter(row.state for row in rows) == run.ends
    assert {(row.owner, row.due_at) for row in rows} == {(None, None)}
    undone = run.refused != ""
    assert bool(book.standing()) is not undone
    assert max(book.changes.values()) == 1, "an action was done or undone twice"


@pytest.mark.parametrize(("store_url", "run", "place", "number"), swept(BOUNDARIES), indirect=["store_url"], ids=str)
def test_a_crash_at_this_boundary_loses_and_doubles_no_child(store_url, book, run, place, number):
    book.refused = run.refused
    assert in_a_process(drive, store_url, book.url, f"{place}:{number}", run) == -9
    assert in_a_process(drive, store_url, book.url) == 0
    if f"{place}:{number}" in run.before_it_is_stored:
        assert (stored(store_url), book.effects) == ([], {})
        return
    assert_ended(store_url, run, book)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("run", RUNS, ids=str)
def test_list_of_boundaries_of_a_family_is_complete(store_url, book, run):
    """A process with a boundary after the last one of the list runs to its end and is not killed."""
    book.refused = run.refused
    place = f"after_commit:{run.commits + 1}"
    assert in_a_process(drive, store_url, book.url, place, run) == 0
    assert_ended(store_url, run, book)
