"""What the shop does after an order has ended. The orchestrator is a stand-in that knows the status of each saga."""

from uuid import UUID, uuid4

import pytest
from flask import Flask

from participants.ecommerce import purchases
from participants.ecommerce.closing import close_ended
from tests.unit.participants.ecommerce.conftest import served

ROW = {"client_id": 4, "produits": [], "montant": 5}


@pytest.fixture
def statuses():
    return {}


@pytest.fixture
def orchestrator_url(statuses):
    app = Flask("orchestrator")

    @app.get("/api/v1/sagas/<saga_id>")
    def saga(saga_id):
        return {"status": statuses[saga_id]} if saga_id in statuses else ({}, 404)

    with served(app) as url:
        yield url


@pytest.fixture
def close(shop):
    def closed():
        with shop.application.app_context():
            close_ended()
            return [each["saga_id"] for each in purchases.still_open()]

    return closed


@pytest.fixture
def order(shop, neighbours, statuses):
    """Return a function that fills the cart and records an order, as the form of the shop does."""

    def ordered(status, key, quantity=1, **more):
        panier = neighbours["panier"].app.test_client()
        body = {"produits": [{"produit_id": "789", "quantite": quantity, "prix": 12.5}], "commande": key}
        assert panier.put("/4", json=body).status_code == 200
        saga_id = str(uuid4())
        if status:
            statuses[saga_id] = status
        with shop.application.app_context():
            purchases.record(UUID(saga_id), key, **ROW, **more)
        return saga_id

    return ordered


def cart(neighbours):
    return neighbours["panier"].get("/4").json["montant"]


@pytest.mark.parametrize("status", ["completed", "compensated", ""], ids=["completed", "compensated", "unknown saga"])
def test_cart_is_empty_after_the_end_of_its_order(order, close, neighbours, status):
    order(status, "key")
    assert cart(neighbours) == 12.5
    assert close() == []
    assert cart(neighbours) == 59.97, "the first cart of every client"


@pytest.mark.parametrize("status", ["pending", "in_progress", "failed"])
def test_cart_is_kept_while_its_order_may_still_read_it(order, close, neighbours, status):
    saga_id = order(status, "key")
    assert close() == [saga_id]
    assert cart(neighbours) == 12.5


def test_cart_that_was_filled_for_the_next_order_is_kept(order, close, neighbours):
    order("completed", "key")
    later = order("in_progress", "next", quantity=2)
    assert close() == [later]
    assert cart(neighbours) == 25


def test_cart_that_is_down_is_emptied_later(order, close, neighbours, monkeypatch):
    saga_id = order("completed", "key")
    with monkeypatch.context() as patched:
        patched.setitem(neighbours["panier"].app.view_functions, "panier.empty_cart", lambda **_: ("", 503))
        assert close() == [saga_id]
    assert close() == []
    assert cart(neighbours) == 59.97


def faults(neighbours):
    return {name for name in ("panier", "stock") if neighbours[name].get("/_faults").json}


def slow(neighbours, *names):
    for name in names:
        fault = {"kind": "slow", "times": None}
        assert neighbours[name].app.test_client().post("/_faults", json=fault).status_code == 201


@pytest.mark.parametrize("status", ["completed", "compensated", "failed"])
def test_participants_slowed_for_an_order_are_fast_again_after_it(order, close, neighbours, status):
    slow(neighbours, "panier", "stock")
    order(status, "key", ralentis=["panier"])
    close()
    assert faults(neighbours) == {"stock"}, "a visitor has made the stock slow"


def test_participant_stays_slow_for_another_order(order, close, neighbours, statuses):
    slow(neighbours, "panier", "stock")
    order("completed", "key", ralentis=["panier", "stock"])
    later = order("in_progress", "next", ralentis=["stock"])
    close()
    assert faults(neighbours) == {"stock"}
    statuses[later] = "completed"
    close()
    assert faults(neighbours) == set()
