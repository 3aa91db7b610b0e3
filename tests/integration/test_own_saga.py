"""The README's example of an own saga, word for word: one new file in machines/, and the saga runs."""

import re
import sys
import threading
from pathlib import Path

import pytest
from flask import Flask, request
from werkzeug.serving import make_server

import machines
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
def start(agency, store_url, tmp_path, monkeypatch):
    (source,) = re.findall(r"`machines/travel.py`:\n\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "travel.py").write_text(source)
    monkeypatch.setattr(machines, "__path__", [*machines.__path__, str(tmp_path)])
    port = agency.server.server_port
    app = create_app(
        from_environment(OPEN | {"DATABASE_URL": store_url, "PARTICIPANTS_URL": f"http://127.0.0.1:{port}"})
    )
    yield lambda data: services(app).sagas.start("travel", data)
    sys.modules.pop("machines.travel", None)
    services(app).runner.stop()
    with app.app_context():
        db.engine.dispose()


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
