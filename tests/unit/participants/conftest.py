"""The reference participants. Each has a new database that contains the seed data."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from participants.database import driver_url
from participants.flask_app import PARTICIPANTS, create_service


class Service:
    def __init__(self, name: str, url: str, **options: Any) -> None:
        self.app = create_service(name, driver_url(url), **options)
        self.db = PARTICIPANTS[name].db
        self._name, self._sagas = name, count(1)

    def get(self, path: str) -> TestResponse:
        return self.app.test_client().get(path)

    def post(self, path: str, body: object, key: str | None = None) -> TestResponse:
        """Send a POST with the idempotency key `key`. The default is the key of an action of a new saga."""
        headers = {"Idempotency-Key": key or f"{self._name}-{next(self._sagas)}/step/do"}
        return self.app.test_client().post(path, json=body, headers=headers)

    def ask(self, path: str, body: object) -> TestResponse:
        """Send a POST that reads. A read has no idempotency key."""
        return self.app.test_client().post(path, json=body)

    def books(self) -> dict:
        return self.get("/_balance").json

    def states(self) -> list[str]:
        return [row["state"] for row in self.get("/_ledger").json]


@contextmanager
def opened(name: str, url: str, **options: Any) -> Iterator[Service]:
    service = Service(name, url, **options)
    yield service
    with service.app.app_context():
        service.db.engine.dispose()


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    with ExitStack() as stack:
        yield lambda name, url, **options: stack.enter_context(opened(name, url, **options))


@pytest.fixture
def panier(serve, sqlite_url: str) -> Service:
    return serve("panier", sqlite_url)


@pytest.fixture
def stock(serve, sqlite_url: str) -> Service:
    return serve("stock", sqlite_url)


@pytest.fixture
def client(serve, sqlite_url: str) -> Service:
    return serve("client", sqlite_url)


@pytest.fixture
def ventes(serve, sqlite_url: str) -> Service:
    return serve("ventes", sqlite_url)


@pytest.fixture
def catalogue(serve, sqlite_url: str) -> Service:
    return serve("catalogue", sqlite_url)


@pytest.fixture
def commandes(serve, sqlite_url: str) -> Service:
    return serve("commandes", sqlite_url)


@pytest.fixture
def recus(serve, sqlite_url: str, tmp_path: Path) -> Service:
    return serve("recus", sqlite_url, config={"OUTBOX": tmp_path / "outbox"})
