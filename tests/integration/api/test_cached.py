"""Answers about completed sagas are cached. An old answer is never shown after a compensation."""

import pytest

from app.services import services
from app.store.database import db
from machines.commande import COMMANDE
from machines.purchase import PURCHASE
from machines.samples import example
from tests.integration.engine.scene import LOST, Scene, answer


class FakeRedis(dict):
    """Stands in for the shared cache. Its values do not expire."""

    def put(self, key, value, _for_s):
        self[key] = value


@pytest.fixture
def scene(client):
    services(client.application).shared_cache = FakeRedis()
    scene = Scene(db.engine, None)
    scene.telemetry = services(client.application).sagas._engine.telemetry
    return scene


def run(scene, definition, **instead):
    for step in definition.steps:
        said = answer(200, **dict.fromkeys(definition.needed_fields[step.name], "x"))
        scene.given(**{step.name: instead.get(step.name, [said])})
    return scene.run(definition, **example(definition.data))


def test_completed_purchase_is_cached_until_it_is_compensated(client, scene, monkeypatch):
    saga = run(scene, PURCHASE)
    path = f"/api/v1/sagas/{saga.id}"
    first = client.get(path)
    with monkeypatch.context() as patched:
        patched.setattr("app.api.sagas.whole_json", lambda *_: pytest.fail("it is put together again"))
        assert client.get(path).data == first.data
    taken_back = scene.engine.store.read(saga.id)
    scene.engine.request_move(taken_back, "compensate", "ada", "not wanted")
    scene.engine.run(taken_back, 1000.0)
    db.session.remove()
    assert client.get(path).json["status"] == "compensated"


def test_outdated_answer_is_not_read_after_a_compensation(client, scene, monkeypatch):
    """A read during a compensation may cache the old answer, but no later request is answered with it."""
    saga = run(scene, PURCHASE)
    path, whole = f"/api/v1/sagas/{saga.id}", __import__("app.api.sagas", fromlist=["whole_json"]).whole_json

    def slow(*arguments):
        shown = whole(*arguments)
        taken_back = scene.engine.store.read(saga.id)
        scene.engine.request_move(taken_back, "compensate", "ada", "not wanted")
        scene.engine.run(taken_back, 1000.0)
        return shown

    with monkeypatch.context() as patched:
        patched.setattr("app.api.sagas.whole_json", slow)
        assert client.get(path).json["status"] == "completed"
    assert len(services(client.application).shared_cache) == 1
    db.session.remove()
    assert client.get(path).json["status"] == "compensated"


def test_unfinished_saga_is_never_cached(client, scene):
    saga = run(scene, COMMANDE, creer_commande=[LOST] * 10)
    assert client.get(f"/api/v1/sagas/{saga.id}").json["status"] == "failed"
    assert services(client.application).shared_cache == {}


@pytest.mark.parametrize(
    ("instead", "retried"),
    [
        ({}, (0, 3)),
        ({"creer_commande": [LOST, answer(201, commande_id="c")]}, (1, 3)),
        ({"creer_commande": [LOST] * 10}, (3, 3)),
        ({"reserver_stock": [LOST] * 4}, (3, 3)),
        ({"creer_commande": [answer(409)], "undo_reserver_stock": [LOST] * 8}, (8, 9)),
        ({"creer_commande": [answer(409)], "undo_reserver_stock": [LOST] * 20}, (9, 9)),
    ],
)
def test_retry_count_is_never_more_than_max_retries(client, scene, instead, retried):
    scene.given(undo_reserver_stock=instead.get("undo_reserver_stock", []))
    forward = {step: replies for step, replies in instead.items() if step != "undo_reserver_stock"}
    shown = client.get(f"/api/v1/sagas/{run(scene, COMMANDE, **forward).id}").json
    assert (shown["retry_count"], shown["max_retries"]) == retried
    assert max(step["retry_count"] for step in shown["steps"]) <= 3
