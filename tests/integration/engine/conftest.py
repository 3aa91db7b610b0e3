from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from tests.integration.engine.scene import Scene
from tests.support.databases import service_engine
from tests.support.statements import recorded


@pytest.fixture
def scene(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    database = service_engine(store_url)
    yield Scene(database, CollectorRegistry(), statements=recorded(database, monkeypatch))
    database.dispose()
