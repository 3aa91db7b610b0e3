"""The README's example of an own saga, word for word.

The saga is one file in a folder that SAGAS names, and it runs.
"""

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
from tests.support.applications import close
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
    close(app)


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


START = "/api/v1/sagas/travel"


def test_one_request_starts_a_saga_and_answers_with_its_end(client, agency):
    answer = client.post(START, json=TRIP)
    assert answer.status_code == 201
    saga = answer.get_json()
    assert saga | {"id": ""} == {
        "id": "", "type": "travel", "status": "completed", "state": "BOOKED", "stuck": False, "error_message": None,
        "start_at": None,
    }  # fmt: skip
    assert client.get(answer.headers["Location"]).get_json()["id"] == saga["id"]


def test_one_request_answers_409_with_the_reason_when_the_saga_was_compensated(client, agency):
    agency.refusing.add("car/cars")
    answer = client.post(START, json=TRIP)
    assert (answer.status_code, answer.headers["Content-Type"]) == (409, "application/problem+json")
    problem = answer.get_json(force=True)
    assert (problem["title"], problem["detail"]) == ("Saga compensated", "NO_CAR: drive: 409 none left")
    assert (problem["type"], problem["state"]) == ("about:blank", "CALLED_OFF")
    assert answer.headers["Location"].endswith(problem["saga_id"])


def test_one_request_answers_202_while_the_saga_is_under_way(client):
    answer = client.post(START, json=TRIP, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert (answer.get_json()["status"], answer.get_json()["stuck"]) == ("in_progress", False)


def test_one_request_answers_202_and_says_so_when_the_saga_is_stuck(client, agency):
    agency.refusing.add("invoice/invoices")
    answer = client.post(START, json=TRIP)
    assert answer.status_code == 202
    saga = answer.get_json()
    assert (saga["status"], saga["state"], saga["stuck"]) == ("failed", "STUCK_BILL", True)
    assert saga["error_message"] == "STUCK_BILL: bill: 409 none left"


def test_one_request_with_a_known_key_returns_the_same_saga(client, agency):
    first, again = (client.post(START, json=TRIP, headers={"Idempotency-Key": "trip-1"}) for _ in range(2))
    assert first.get_json() == again.get_json()
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert [path for path, _ in agency.asked].count("car/cars") == 1
    other = client.post(START, json=TRIP | {"nights": 4}, headers={"Idempotency-Key": "trip-1"})
    assert other.status_code == 422


def test_one_request_with_wrong_data_names_the_field_and_starts_nothing(client, agency):
    answer = client.post(START, json=TRIP | {"nights": 0})
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.get_json(force=True)["errors"]] == ["/nights"]
    assert agency.asked == []


def test_one_request_for_an_unknown_type_is_not_found(client):
    assert client.post("/api/v1/sagas/trvael", json=TRIP).status_code == 404
