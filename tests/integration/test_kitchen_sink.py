"""The kitchen sink is started in every way, and each error names a wrong value by the same JSON pointer."""

import json
import re
import sys
import threading
from pathlib import Path

import jsonschema_rs
import pytest
from flask import Flask, request
from prometheus_client import CollectorRegistry
from werkzeug.serving import make_server

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.errors import InvalidError
from app.events.intake import Intake
from app.services import services
from app.store.database import db
from app.store.dead_letters import DeadLetters
from app.values import written
from machines.samples import example
from tests.support.applications import opened
from tests.support.servers import OPEN
from tests.support.tables.kitchen_sink import KITCHEN_SINK
from tests.support.waiting import eventually

TABLES = Path(__file__).parents[1] / "support" / "tables"
EXAMPLE = example(KITCHEN_SINK.data)
TRAVELLER = EXAMPLE["traveller"]
LINE = EXAMPLE["lines"][0]
WRONG = [
    ({"customer": "x"}, "/customer"),
    ({"number": 21}, "/number"),
    ({"budget": 0.001}, "/budget"),
    ({"price": "12.345"}, "/price"),
    ({"weight": "50.001"}, "/weight"),
    ({"whole": "1.5"}, "/whole"),
    ({"factor": "1"}, "/factor"),
    ({"id": "1"}, "/id"),
    ({"express": "yes"}, "/express"),
    ({"day": "2027-02-29"}, "/day"),
    ({"moment": "2027-01-31"}, "/moment"),
    ({"size": "M"}, "/size"),
    ({"colour": "GREEN"}, "/colour"),
    ({"note": None}, "/note"),
    ({"traveller": []}, "/traveller"),
    ({"traveller": TRAVELLER | {"emails": [5]}}, "/traveller/emails/0"),
    ({"traveller": TRAVELLER | {"a/b": 1}}, "/traveller/a~1b"),
    ({"lines": [LINE, LINE | {"tags": ["x", 5]}]}, "/lines/1/tags/1"),
    ({"limit": "x"}, "/limit"),
    ({"ids": ["x"]}, "/ids/0"),
    ({"grid": [[True], [1]]}, "/grid/1/0"),
    ({"card": "x"}, "/card"),
    ({"pins": [10_000]}, "/pins/0"),
    ({"bank": {"iban": 5}}, "/bank/iban"),
    ({"born": "x"}, "/born"),
    ({"token": 5}, "/token"),
    ({"colours": 1}, "/colours"),
]


class World:
    """The participants of the kitchen sink. `lost`: calls whose reply is lost. `refused`: calls that are refused."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.bodies: list[object] = []
        self.lost: set[str] = set()
        self.refused: set[str] = set()
        app = Flask("world")

        @app.route("/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
        def answer(path):
            call = f"{request.method} {path}"
            self.calls.append(call)
            self.bodies.append(request.get_json(silent=True))
            if call in self.lost:
                return "lost", 500
            if call in self.refused:
                return {"detail": "no"}, 409
            return self.reply(request.method, path)

        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def reply(method, path):
        if path.endswith("/cart"):
            return {"cart": {"items": [{"sku": "pen", "price": "1.00"}]}, "currency": "EUR"}
        if path == "fly/bookings":
            return {"booking": {"id": "b1"}, "pass": "pass-1"}, 201, {"Location": "https://fly.test/bookings/C0DE?x=y"}
        if path == "points/redemptions":
            return {"id": 7} if method == "POST" else [{"id": 7}]
        return {"status": "captured"}


@pytest.fixture(scope="module")
def world():
    world = World()
    yield world
    world.server.shutdown()
    world.server.server_close()


@pytest.fixture(scope="module")
def application(world, tmp_path_factory, sqlite_template):
    file = tmp_path_factory.mktemp("kitchen") / "saga.db"
    file.write_bytes(Path(sqlite_template).read_bytes())
    settings = {
        "DATABASE_URL": f"sqlite:///{file}", "PARTICIPANTS_URL": f"http://127.0.0.1:{world.server.server_port}",
        "SAGAS": str(TABLES),
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
        app = create_app(from_environment(OPEN | settings))
        with opened(app):
            yield app
    for name in ("sagas", "sagas.kitchen_sink"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def described(application):
    document = application.test_client().get("/openapi.json").get_json()
    content = document["paths"]["/api/v1/sagas/kitchen_sink"]["post"]["requestBody"]["content"]["application/json"]
    schema = {"$ref": content["schema"]["$ref"], "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def by_event(application, data):
    intake = Intake(
        services().sagas, services().registry, DeadLetters(db.engine), CollectorRegistry(), threading.Event()
    )
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "SinkFilled", "data": data}
    return intake.accept(json.dumps(event).encode()).saga


@pytest.mark.parametrize(("wrong", "pointer"), WRONG, ids=[pointer for _, pointer in WRONG])
def test_each_way_to_start_names_the_wrong_value(application, described, wrong, pointer):
    data, client = EXAMPLE | wrong, application.test_client()
    for path, body, below in (
        ("/api/v1/sagas/kitchen_sink", data, ""),
        ("/api/v1/sagas", {"type": "kitchen_sink", "data": data}, "/data"),
    ):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
        assert [error["pointer"] for error in answer.get_json()["errors"]] == [below + pointer]
    batch = client.post("/api/v1/sagas/kitchen_sink/batch", json={"starts": [{"data": data, "key": "1"}]})
    assert f'"/starts/0/data{pointer}"' in batch.get_data(as_text=True)
    with pytest.raises(InvalidError) as refused:
        by_event(application, data)
    assert [error["pointer"] for error in refused.value.members["errors"]] == [f"/data{pointer}"]
    done = application.test_cli_runner().invoke(args=["saga", "start", "kitchen_sink", "--data", json.dumps(data)])
    assert done.exit_code == 2
    place = pointer if pointer.count("/") > 1 else pointer[1:]
    assert done.output.startswith(f"saga: {place}: ")
    assert done.output.count("\n") == 1
    if pointer != "/weight":  # the JSON Schema of a decimal has no bounds, only a pattern for the digits
        assert not described.is_valid(data)


def test_the_described_example_starts_a_saga(application, described, world):
    assert described.is_valid(EXAMPLE)
    answer = application.test_client().post("/api/v1/sagas/kitchen_sink", json=EXAMPLE)
    assert (answer.status_code, answer.get_json()["state"]) == (201, "TOLD")
    started = by_event(application, EXAMPLE)
    path = f"/api/v1/sagas/{started.id}"
    eventually(lambda: application.test_client().get(path).get_json()["state"] == "TOLD", "its saga has completed")


@pytest.fixture
def probed(application, world):
    """Return the id of a saga whose reply to `redeem` was lost. The probe has found the reply."""
    world.calls.clear()
    world.lost = {"POST points/redemptions"}
    answer = application.test_client().post("/api/v1/sagas/kitchen_sink", json=EXAMPLE, headers={"Prefer": "wait=30"})
    world.lost = set()
    assert answer.get_json()["state"] == "TOLD"
    assert [call for call in world.calls if "redemptions" in call] == [
        "POST points/redemptions", "GET points/redemptions",
    ]  # fmt: skip
    return answer.get_json()["id"]


def test_a_successful_probe_is_shown_as_the_probe_that_it_is(application, probed):
    client = application.test_client()
    entries = client.get(f"/admin/sagas/{probed}").get_data(as_text=True)
    asked = re.findall(r'<b>(redeem|probe of redeem)</b> <span class="pill \w+">(\w+)</span>', entries)
    assert asked == [("redeem", "unknown"), ("probe of redeem", "succeeded")]
    number = re.search(r'number">(\d+)</span> <b>probe of redeem', entries)[1]
    entry = client.get(f"/admin/sagas/{probed}?entry={number}").get_data(as_text=True)
    assert f'<h3 id="entry-title">{number}: probe of redeem</h3>' in entry
    assert '<p class="mono call">GET points/redemptions?ref=' in entry
    steps = client.get(f"/api/v1/sagas/{probed}").get_json()["steps"]
    redeem = next(step for step in steps if step["type"] == "redeem")
    assert (redeem["attempts"], redeem["outcome"], redeem["status"]) == (1, "succeeded", "completed")
    shown = application.test_cli_runner().invoke(args=["saga", "show", probed]).output
    assert "1 call, 1 probe" in shown
    assert "probe redeem succeeded" in shown


def test_the_page_of_a_stuck_saga_shows_an_undo_whose_body_is_a_list(application, world):
    world.refused = {"POST pay/payments/C0DE/capture", "DELETE fly/bookings/b1"}
    client = application.test_client()
    stuck = client.post("/api/v1/sagas/kitchen_sink", json=EXAMPLE, headers={"Prefer": "wait=30"}).get_json()
    world.refused = set()
    assert stuck["state"] == "STUCK_UNDO_BOOK"
    answer = client.get(f"/admin/sagas/{stuck['id']}")
    assert answer.status_code == 200
    assert "PATCH points/redemptions/7" in answer.get_data(as_text=True)
    assert "undone; by " in answer.get_data(as_text=True)
    assert "DELETE fly/bookings/b1" in answer.get_data(as_text=True)
    assert "needs replies that have not come yet" not in answer.get_data(as_text=True)  # the undo has no body


def test_the_example_fits_its_own_schema_in_the_definition(application):
    shown = application.test_client().get("/api/v1/definitions/kitchen_sink").get_json()
    validator = jsonschema_rs.Draft202012Validator(shown["data"], validate_formats=True)
    assert all(validator.is_valid(each) for each in shown["data"]["examples"])
    assert "letmein" not in json.dumps(shown)
    assert written(shown)
