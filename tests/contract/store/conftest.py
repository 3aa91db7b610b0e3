"""A store over a migrated database of each kind, and direct access to the rows it writes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.store.group_commit import MAX_ROWS
from app.store.instance import Instance
from app.store.leases import Leases
from app.store.sagas import SagaStore
from app.store.statements import Connections
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.registry import Registry
from tests.support.databases import service_engine
from tests.support.statements import recorded


@dataclass
class StoreFixture:
    """The store of a new database, and direct access to its rows and statements."""

    engine: Engine
    statements: list[str]
    connections: Connections

    def store(self, owner: str = "one", registry: Registry | None = None) -> SagaStore:
        return SagaStore(self.connections, registry or discover(), owner)

    def leases(self, owner: str = "one", registry: Registry | None = None) -> Leases:
        return Leases(self.engine, registry or discover(), owner)

    def rows(self, sql: str, **values: Any) -> list[Any]:
        with self.engine.begin() as connection:
            result = connection.execute(text(sql), values)
            return list(result.mappings()) if result.returns_rows else []


@pytest.fixture
def stored(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreFixture]:
    engine = service_engine(store_url)
    yield StoreFixture(engine, recorded(engine, monkeypatch), Connections(engine))
    engine.dispose()


@pytest.fixture
def saga() -> Instance:
    return Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2 * MAX_ROWS) as pool:
        yield pool
