"""On each database, all books agree after any requests of customers and operators and any faults of the network.

CHAOS=full runs 1,500 examples. A failure prints the rules that led to it, and a new test can repeat them.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine, event

from app.store.database import database_options
from tests.integration.engine.scene import Scene
from tests.property.books import Books
from tests.property.market import NAMES, Market, open_market

EXAMPLES = 1_500 if os.environ.get("CHAOS") == "full" else 8


@pytest.fixture(params=["sqlite", "postgresql"])
def market(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Market]:
    urls = {name: f"sqlite:///{tmp_path / name}.db" for name in NAMES}
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        urls = {name: server % f"books_{name}" for name in NAMES}
        with closing(psycopg2.connect(server % "postgres")) as admin:
            admin.autocommit = True
            for name in NAMES:
                admin.cursor().execute(f"CREATE DATABASE books_{name}")
    with open_market(urls) as opened:
        yield opened


@pytest.fixture
def scene(sqlite_template: Path, tmp_path: Path) -> Iterator[Scene]:
    """Share one engine between all examples. The sagas stay in the database. Each example reads only its own sagas."""
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'saga.db')}"
    database = create_engine(url, **database_options(url, 4))
    event.listen(database, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    log_settings = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield Scene(database, CollectorRegistry())
    structlog.configure(**log_settings)
    database.dispose()


def test_books_agree_after_any_events_of_purchases_and_returns(market, scene):
    many = settings(
        max_examples=EXAMPLES,
        stateful_step_count=8,
        deadline=None,
        print_blob=True,
        # Shrinking takes minutes, and the printed rules are short enough to read.
        phases=[Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(lambda: Books(market, scene), settings=many)
