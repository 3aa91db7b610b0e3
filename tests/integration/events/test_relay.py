import dataclasses
import threading

import pytest
from kombu.exceptions import OperationalError
from prometheus_client import CollectorRegistry

from app.events.relay import LEASE_S, Relay
from app.store.instance import Instance
from app.store.outbox import Outbox
from machines.checkout import CHECKOUT
from machines.order import ORDER
from tests.integration.events.fakes import ANSWERS, ORDERED, FakePublisher

ALL = [
    "CommandeCreate",
    "ProduitExist",
    "InventaireReserve",
    "PaiementConfirm",
    "TransactionConfirm",
    "CommandeConfirm",
]


def relay(scene, publisher, owner="one", clock=lambda: 0.0):
    stopping, wake = threading.Event(), threading.Event()
    outbox = Outbox(scene.database, owner)
    return Relay(outbox, publisher, CollectorRegistry(), names=(), wake=wake, stopping=stopping, clock=clock)


def test_move_is_published_as_a_cloudevent(scene):
    saga, publisher = scene.given(**ANSWERS).run(ORDER, **ORDERED), FakePublisher()
    relay(scene, publisher).publish_batch()
    event = publisher.events[2]
    at = event.pop("time")
    assert at.endswith("+00:00")
    assert event == {
        "specversion": "1.0",
        "id": f"{saga.id}/4",
        "source": "/sagas/order_saga",
        "type": "InventaireReserve",
        "subject": str(saga.id),
        "datacontenttype": "application/json",
        "data": {
            "saga": "order_saga",
            "version": 1,
            "state": "InventaireReserve",
            "step": "reserver_inventaire",
            "reason": "200",
            "reply": {"reservation_id": "r1"},
            "started_with": ORDERED,
        },
    }


def test_every_event_is_published_once_and_in_order(scene):
    scene.given(**ANSWERS).run(ORDER, **ORDERED)
    publisher = FakePublisher()
    assert relay(scene, publisher).publish_batch() == 6
    assert relay(scene, publisher).publish_batch() == 0
    assert publisher.names == ALL


def test_unpublished_event_waits_and_keeps_the_order(scene):
    scene.given(**ANSWERS).run(ORDER, **ORDERED)
    publisher = FakePublisher(broken_at=3)
    with pytest.raises(OperationalError):
        relay(scene, publisher).publish_batch()
    publisher.broken_at = 0
    relay(scene, publisher).publish_batch()
    assert publisher.names == ALL


def test_crash_after_publishing_repeats_the_same_event(scene):
    """An event is delivered at least once. A consumer recognizes a repeated event by its id."""
    scene.given(**ANSWERS).run(ORDER, **ORDERED)
    publisher, dying = FakePublisher(), relay(scene, FakePublisher())
    dying._publisher = publisher
    dying._outbox.published = lambda _ids: (_ for _ in ()).throw(SystemExit)
    with pytest.raises(SystemExit):
        dying.publish_batch()
    relay(scene, publisher).publish_batch()
    assert publisher.names == ALL + ALL
    assert [event["id"] for event in publisher.events[:6]] == [event["id"] for event in publisher.events[6:]]


def test_only_a_move_with_an_event_wakes_the_relay(scene):
    woken = []
    engine = dataclasses.replace(scene.given(**ANSWERS).engine, on_event=lambda: woken.append(scene.calls[-1]))
    engine.run(Instance.new(ORDER, ORDERED, actor="client"), 1000.0)
    engine.run(Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client"), 1000.0)
    assert woken == ["lire_produits", "reserver_inventaire", "payer", "envoyer_recu", "confirmer_commande"]


def test_frozen_relay_publishes_nothing_after_its_lease(scene):
    scene.given(**ANSWERS).run(ORDER, **ORDERED)
    publisher, times = FakePublisher(), iter([0.0, 0.0, 0.0, LEASE_S + 1])
    frozen = relay(scene, publisher, clock=lambda: next(times))
    assert frozen.publish_batch() == 2
    assert publisher.names == ALL[:2]
