import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine, event

from app.store.database import database_options
from app.telemetry import Telemetry
from machines.retry import Retry
from tests.property.chaos import Chaos


@pytest.fixture
def chaos(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Chaos]]:
    """Return a function that makes state machines over one database. Each deletes the sagas of the previous one."""
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'saga.db')}"
    database = create_engine(url, **database_options(url, 4))
    # No test simulates a power failure, so commits need not wait for the disk.
    event.listen(database, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    # Three attempts instead of ten, because ten faults in a row would almost never be drawn.
    monkeypatch.setattr("machines.transitions.PERSISTENT", Retry(attempts=3))
    log_settings = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("critical")
    )  # without this filter, each move writes a log line
    telemetry = Telemetry(CollectorRegistry())
    yield lambda: Chaos(database, telemetry)
    structlog.configure(**log_settings)
    database.dispose()
