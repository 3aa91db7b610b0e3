"""The client against the service on a real port, in this process; its participants answer as the test sets them."""

import asyncio
import inspect
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask, Response
from saga_client import AsyncSagas, Sagas
from sqlalchemy import text
from werkzeug.serving import WSGIRequestHandler, make_server

from app import create_app
from app.access.permissions import Scope
from app.config import from_environment
from app.services import services
from app.store.database import db
from tests.support.applications import close
from tests.support.servers import OPEN

README = Path(__file__).parents[3] / "README.md"


class _Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        pass


def listen(app: Any) -> Any:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Agency:
    """The participants of `travel`. They refuse each path in `refusing`, and answer only while `free` is set."""

    def __init__(self) -> None:
        self.refusing: set[str] = set()
        self.free = threading.Event()
        self.free.set()
        app = Flask("agency")

        @app.post("/<path:path>")
        def answer(path: str) -> Any:
            self.free.wait(30)
            return ({"detail": "none left"}, 409) if path in self.refusing else ({"seat": "12A"}, 201)

        self.server = listen(app)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


class Faults:
    """WSGI middleware that answers in place of the service or loses the service's answers. It records every request."""

    def __init__(self, application: Any) -> None:
        self._application = application
        #: Faults of the next requests. A response is sent instead of the service's answer; "lose" loses that answer.
        self.next: list[Response | str] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        headers = {name[5:].replace("_", "-").title(): value for name, value in environ.items() if name[:5] == "HTTP_"}
        self.seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], headers))
        fault = self.next.pop(0) if self.next else None
        if isinstance(fault, Response):
            return fault(environ, start_response)
        chunks = self._application(environ, start_response)
        if fault == "lose":
            b"".join(chunks)
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("the answer is lost")
        return chunks


class Both:
    """The methods of a part of the clients; each call is made by one for threads, or by one for asyncio."""

    def __init__(self, url: str, key: str, part: str, *, asynchronous: bool) -> None:
        self._url, self._key, self._part, self._asynchronous = url, key, part, asynchronous

    def __getattr__(self, word: str) -> Any:
        if self._asynchronous:
            return lambda *given, **options: asyncio.run(self._later(word, *given, **options))
        return lambda *given, **options: self._now(word, *given, **options)

    def _now(self, word: str, *given: Any, **options: Any) -> Any:
        with Sagas(self._url, self._key, sleep=lambda _: None) as sagas:
            return getattr(getattr(sagas, self._part), word)(*given, **options)

    async def _later(self, word: str, *given: Any, **options: Any) -> Any:
        async def sleep(_seconds: float) -> None:
            pass

        async with AsyncSagas(self._url, self._key, sleep=sleep) as sagas:
            return await getattr(getattr(sagas, self._part), word)(*given, **options)


def words(kind: type) -> dict[str, str]:
    """Return the methods of a class with their signatures."""
    return {
        name: str(inspect.signature(each))
        for name, each in inspect.getmembers(kind, inspect.isfunction)
        if name[0] != "_"
    }


@pytest.fixture
def agency() -> Iterator[Agency]:
    agency = Agency()
    yield agency
    agency.free.set()
    agency.server.shutdown()
    agency.server.server_close()


@pytest.fixture
def service(agency: Agency, sqlite_template: Path, tmp_path: Path) -> Iterator[Any]:
    """Return the application, which listens at `service.url` and runs its sagas."""
    (source,) = re.findall(r"`sagas/travel.py`:\n\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    folder = tmp_path / "travels"
    folder.mkdir()
    (folder / "travel.py").write_text(source)
    shutil.copy(sqlite_template, tmp_path / "saga.db")  # the client does not see which database the service has
    store_url = f"sqlite:///{tmp_path / 'saga.db'}"
    settings = {"DATABASE_URL": store_url, "PARTICIPANTS_URL": agency.url, "SAGAS": str(folder), "API_AUTH": "on"}
    app = create_app(from_environment(OPEN | settings))
    app.faults = app.wsgi_app = Faults(app.wsgi_app)
    server = listen(app)
    app.url = f"http://127.0.0.1:{server.server_port}"
    services(app).runner.start()
    yield app
    server.shutdown()
    server.server_close()
    agency.free.set()
    close(app)
    for name in [name for name in sys.modules if name.split(".")[0] == "sagas"]:
        sys.modules.pop(name)


@pytest.fixture
def key(service: Any) -> str:
    """Return an API key that may read and start."""
    return services(service).api_keys.make("shop", {Scope.READ, Scope.START}, 1, "test").secret


@pytest.fixture
def operator_key(service: Any) -> str:
    """Return an API key that may also change schedules and messages."""
    return services(service).api_keys.make("ops", {Scope.READ, Scope.START, Scope.OPERATE}, 1, "test").secret


@pytest.fixture
def paused() -> list[float]:
    return []


@pytest.fixture
def sagas(service: Any, key: str, paused: list[float]) -> Iterator[Sagas]:
    with Sagas(service.url, key, sleep=paused.append, jitter=lambda longest: longest) as sagas:
        yield sagas


def store_message(service: Any, saga_id: UUID, due: str | None = None) -> int:
    """Store a message about a saga, and return its number. due: when it is sent; None: it is a dead letter."""
    columns = "saga_id, seq, event, webhook, url, at, attempts, due_at, error"
    values = ":saga, 1, 'completed', 'shop', 'https://shop.example', '2026-01-01 00:00:00.000000', 12, :due, '500'"
    with service.app_context(), db.engine.connect() as connection:
        given = {"saga": saga_id.hex, "due": due}
        connection.execute(text(f"INSERT INTO webhook_delivery ({columns}) VALUES ({values})"), given)
        connection.commit()
    return int(services(service).deliveries.of_saga(saga_id)[-1].id)
