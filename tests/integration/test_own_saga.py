"""The README's example of an own saga, word for word: one file in a folder that SAGAS names, and the saga runs."""

import re
import sys
import threading
from pathlib import Path

import pytest
from flask import Flask, request
from werkzeug.serving import make_server

from app import create_app
from app.config import from_environment
from app.services import services
from app.store.database import db
from tests.support.servers import OPEN

README = Path(__file__).parents[2] / "README.md"
TRIP = {"customer": "Ada", "city": "Łódź", "nights": 3}


class Agency:
    """Four participants on one port, which answer as the test sets them and record their requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []
        self.refusing: set[str] = set()
        app = Flask("agency")

        @app.post("/<path:path>")
        def answer(path):
            self.asked.append((path, request.get_json()))
            return ({"detail": "none left"}, 409) if path in self.refusing else ({"seat": "12A"}, 201)

        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def agency():
    agency = Agency()
    yield agency
    agency.server.shutdown()
    agency.server.server_close()


@pytest.fixture
def application(agency, store_url, tmp_path):
    (source,) = re.findall(r"`sagas/travel.py`:\n\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "travel.py").write_text(source)
    port = agency.server.server_port
    settings = {"DATABASE_URL": store_url, "PARTICIPANTS_URL": f"http://127.0.0.1:{port}", "SAGAS": str(tmp_path)}
    app = create_app(from_environment(OPEN | settings))
    yield app
    for name in ("sagas", "sagas.travel"):
        sys.modules.pop(name, None)
    services(app).runner.stop()
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def start(application):
    return lambda data: services(application).sagas.start("travel", data)


@pytest.fixture
def client(application):
    return application.test_client()


def test_contracts_of_the_samples_are_not_served_without_them(client):
    assert client.get("/ready").status_code == 200
    assert client.post("/api/v1/checkout", json={}).status_code == 404
    paths = client.get("/openapi.json").get_json()["paths"]
    assert "/api/v1/sagas" in paths
    assert not [path for path in paths if "checkout" in path or "commandes" in path]
    assert "commande_etat" not in client.get("/metrics").text


def test_saga_of_the_readme_completes(start, agency):
    saga = start(TRIP)
    assert (saga.state, saga.status) == ("BOOKED", "completed")
    assert agency.asked == [
        ("flight/seats", {"city": "Łódź", "customer": "Ada"}),
        ("hotel/rooms", {"city": "Łódź", "nights": 3}),
        ("car/cars", {"city": "Łódź", "nights": 3}),
        ("invoice/invoices", {"customer": "Ada", "seat": "12A"}),
    ]


def test_saga_of_the_readme_is_compensated_in_reverse(start, agency):
    agency.refusing.add("car/cars")
    saga = start(TRIP)
    assert (saga.state, saga.error) == ("CALLED_OFF", "NO_CAR: drive: 409 none left")
    assert [path for path, _ in agency.asked[-3:]] == ["car/cars", "hotel/rooms/undo", "flight/seats/undo"]
