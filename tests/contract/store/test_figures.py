"""Expensive figures: bounded in time, computed once for all who request them, and one at a time."""

import threading

import pytest
from sqlalchemy import text

from app.errors import BusyError
from app.store.figures import SharedFigures, bounded_statements
from tests.support.databases import service_engine


@pytest.fixture
def database(postgres_url):
    made = service_engine(postgres_url)
    yield made
    made.dispose()


def test_statement_that_takes_too_long_is_cancelled_with_a_remedy(database):
    with pytest.raises(BusyError, match="choose a shorter window"), bounded_statements(database, 0.1) as connection:
        connection.execute(text("SELECT pg_sleep(60)"))


def test_limit_ends_with_the_figures(database):
    with bounded_statements(database, 0.1) as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "100ms"
    with database.connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "30s"


def test_figures_are_computed_once_for_some_seconds():
    now, computed = [0.0], []
    figures = SharedFigures(5.0, lambda: now[0])

    def get(key):
        return figures.get(key, lambda: computed.append(key) or len(computed))

    assert [get("a"), get("a"), get("b")] == [1, 1, 2]
    now[0] = 5.0
    assert [get("a"), computed] == [3, ["a", "b", "a"]]


def test_one_computation_runs_at_a_time(monkeypatch):
    monkeypatch.setattr("app.store.figures.WAIT_S", 0.01)
    begun, ends, figures = threading.Event(), threading.Event(), SharedFigures(5.0)
    first = threading.Thread(target=figures.get, args=("a", lambda: (begun.set(), ends.wait())))
    first.start()
    begun.wait()
    with pytest.raises(BusyError):
        figures.get("b", lambda: pytest.fail("a second computation"))
    ends.set()
    first.join()
    assert figures.get("b", lambda: 2) == 2


def test_failed_computation_is_not_kept():
    figures = SharedFigures(5.0)
    with pytest.raises(ZeroDivisionError):
        figures.get("a", lambda: 1 // 0)
    assert figures.get("a", lambda: 1) == 1
