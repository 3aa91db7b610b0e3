import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine as Database
from sqlalchemy import create_engine, event

from app.config import from_environment
from app.store.database import database_options, make_durable
from app.telemetry import Telemetry
from machines.retry import Retry
from tests.property.chaos import Chaos
from tests.property.family_chaos import FamilyChaos
from tests.support.databases import DatabasePool

Parts = tuple[Database, Telemetry]


@pytest.fixture
def chaos(simulated: Parts) -> Callable[[], Chaos]:
    """Return a function that makes state machines over one database. Each deletes the sagas of the previous one."""
    return lambda: Chaos(*simulated)


@pytest.fixture
def family_chaos(simulated: Parts) -> Callable[[], FamilyChaos]:
    """Return a function that makes state machines of families over one database."""
    return lambda: FamilyChaos(*simulated)


@pytest.fixture
def family_chaos_on_postgresql(
    postgres_pool: DatabasePool, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], FamilyChaos]]:
    for url in postgres_pool.lend():
        with _parts(url, monkeypatch) as parts:
            yield lambda parts=parts: FamilyChaos(*parts)


@pytest.fixture
def simulated(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    """Yield the database and the telemetry of all simulated processes."""
    with _parts(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'saga.db')}", monkeypatch) as parts:
        yield parts


@contextmanager
def _parts(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    url = from_environment({"DATABASE_URL": url}).database_url  # with the driver of the service
    database = create_engine(url, **database_options(url, 4))
    make_durable(database)
    if url.startswith("sqlite"):
        # No test simulates a power failure, so commits need not wait for the disk.
        event.listen(database, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    # Three attempts instead of ten, because ten faults in a row would almost never be drawn.
    monkeypatch.setattr("machines.transitions.PERSISTENT", Retry(attempts=3))
    # Ascending ids, so that the same draws have the same order of sagas.
    numbers = itertools.count(1)
    monkeypatch.setattr("app.store.instance.new_id", lambda: UUID(int=next(numbers)))
    monkeypatch.setattr("app.store.children.child_id", lambda _parent: UUID(int=next(numbers)))
    # The condition for a still unknown effect asks which database it is for, and no application runs here.
    monkeypatch.setattr("app.store.unknown_effects.db", SimpleNamespace(engine=database))
    log_settings = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("critical")
    )  # without this filter, each move writes a log line
    telemetry = Telemetry(CollectorRegistry())
    yield database, telemetry
    structlog.configure(**log_settings)
    database.dispose()
