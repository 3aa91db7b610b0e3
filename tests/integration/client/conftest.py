"""The client against the service on a real port, in this process; its participants answer as the test sets them."""

import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response
from saga_client import Sagas
from werkzeug.serving import WSGIRequestHandler, make_server

from app import create_app
from app.access.permissions import Scope
from app.config import from_environment
from app.services import services
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
    """Return an API key that may also change schedules."""
    return services(service).api_keys.make("ops", {Scope.READ, Scope.START, Scope.OPERATE}, 1, "test").secret


@pytest.fixture
def paused() -> list[float]:
    return []


@pytest.fixture
def sagas(service: Any, key: str, paused: list[float]) -> Iterator[Sagas]:
    with Sagas(service.url, key, sleep=paused.append, jitter=lambda longest: longest) as sagas:
        yield sagas
