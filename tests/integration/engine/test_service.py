"""Requests of people. Each request makes a move of the table. Of two simultaneous requests, only one succeeds."""

from uuid import UUID, uuid4

import pytest

from app.errors import ConflictError, InvalidError, NotFoundError
from machines.order import ORDER
from machines.purchase import PURCHASE
from tests.integration.engine.inputs import BUY, CART, at_once
from tests.integration.engine.scene import LOST, NOT_SENT, REFUSED, answer

RESERVED = answer(201, reservation_id="r1")


@pytest.fixture
def purchase(scene):
    return scene.given(RESERVE_INVENTORY=[RESERVED] * 9)


def test_created_saga_waits_until_it_is_executed(purchase):
    created = purchase.service.create(PURCHASE.name, BUY)
    assert (created.status, created.state, purchase.calls) == ("pending", "PENDING", [])
    assert purchase.leases().claim(10, 30) == []
    executed = purchase.service.execute(created.id)
    assert (executed.status, executed.state) == ("completed", "COMPLETED")


def test_ended_saga_is_returned_and_not_executed_again(purchase):
    saga_id = purchase.service.create(PURCHASE.name, BUY).id
    first = purchase.service.execute(saga_id)
    calls = len(purchase.calls)
    assert purchase.service.execute(saga_id) == first
    assert len(purchase.calls) == calls


def test_simultaneous_executes_run_the_saga_once(purchase):
    saga_id = purchase.service.create(PURCHASE.name, BUY).id
    results = at_once(lambda: purchase.service.execute(saga_id).status)
    assert "completed" in results
    assert set(results) <= {"completed", "conflict"}
    assert purchase.calls.count("PROCESS_PAYMENT") == 1


def test_simultaneous_compensates_undo_the_saga_once(purchase):
    saga_id = purchase.service.start(PURCHASE.name, BUY).id
    results = at_once(lambda: purchase.service.compensate(saga_id, "ada", "wrong size").status)
    assert sorted(results) == ["compensated", *["conflict"] * 5]
    assert purchase.calls.count("undo_PROCESS_PAYMENT") == 1


def test_simultaneous_retries_move_the_saga_once(scene):
    stuck = scene.given(enregistrer_vente=[LOST] * 4).service.start("checkout", CART)
    results = at_once(lambda: scene.service.retry(stuck.id, "ada", "sales is back").status)
    assert sorted(results) == ["completed", *["conflict"] * 5]
    assert scene.calls.count("enregistrer_vente") == 5


@pytest.mark.parametrize("begin", ["start", "create"])
def test_simultaneous_starts_with_one_key_start_one_saga(scene, begin):
    results = at_once(lambda: str(getattr(scene.service, begin)("checkout", CART, "key").id), number=12)
    assert len(set(results) - {"conflict"}) == 1
    assert len(scene.rows("SELECT id FROM saga")) == 1
    assert scene.calls.count("payer") == (1 if begin == "start" else 0)


def test_completed_purchase_is_compensated_in_reverse(purchase):
    saga_id = purchase.service.start(PURCHASE.name, BUY).id
    compensated = purchase.service.compensate(saga_id, "ada", "wrong size")
    assert compensated.status == "compensated"
    assert purchase.calls[-4:] == [
        "undo_UPDATE_INVENTORY", "undo_CREATE_SALE", "undo_PROCESS_PAYMENT", "undo_RESERVE_INVENTORY",
    ]  # fmt: skip
    (move,) = purchase.rows("SELECT actor, reason, source FROM journal WHERE trigger = 'compensate'")
    assert dict(move) == {"actor": "ada", "reason": "wrong size", "source": "COMPLETED"}


def test_saga_is_not_compensated_twice(purchase):
    saga_id = purchase.service.start(PURCHASE.name, BUY).id
    purchase.service.compensate(saga_id, "ada", "wrong size")
    with pytest.raises(ConflictError, match="everything is undone"):
        purchase.service.compensate(saga_id, "ada", "again")


def test_saga_after_its_pivot_cannot_be_compensated(scene):
    saga_id = scene.service.start("checkout", CART).id
    with pytest.raises(ConflictError, match="its pivot enregistrer_vente has succeeded"):
        scene.service.compensate(saga_id, "ada", "wrong size")
    assert scene.rows("SELECT state FROM saga") == [{"state": "CONFIRMEE"}]


def test_a_pending_saga_is_cancelled_without_a_call(scene):
    order = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 1}]}
    saga_id = scene.service.create(ORDER.name, order).id
    assert scene.service.compensate(saga_id, "ada", "changed my mind").status == "compensated"
    assert scene.calls == []


def test_pending_saga_cannot_be_retried(scene):
    saga_id = scene.service.create("checkout", CART).id
    with pytest.raises(ConflictError, match="the saga is pending, in INITIEE"):
        scene.service.retry(saga_id, "ada", "why not")


def test_stuck_saga_continues_after_a_retry(scene):
    stuck = scene.given(enregistrer_vente=[LOST] * 4).service.start("checkout", CART)
    assert stuck.status == "stuck"
    assert scene.service.retry(stuck.id, "ada", "sales is back").status == "completed"
    (move,) = scene.rows("SELECT actor, reason, dest FROM journal WHERE trigger = 'retry' AND source LIKE 'STUCK%'")
    assert dict(move) == {"actor": "ada", "reason": "sales is back", "dest": "PAIEMENT_EFFECTUE"}


def test_stuck_pivot_can_be_compensated_by_a_person(scene):
    stuck = scene.given(enregistrer_vente=[LOST] * 4).service.start("checkout", CART)
    assert scene.service.compensate(stuck.id, "ada", "sales says no").status == "compensated"
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]


def test_a_refused_action_names_the_possible_ones(scene):
    stuck = scene.given(confirmer=[REFUSED]).service.start("checkout", CART)
    with pytest.raises(ConflictError, match="no such move from this state; possible now: retry, resolve"):
        scene.service.compensate(stuck.id, "ada", "wrong size")


def test_only_a_stuck_saga_can_be_retried(scene):
    saga_id = scene.service.start("checkout", CART).id
    with pytest.raises(ConflictError):
        scene.service.retry(saga_id, "ada", "why not")


def test_a_running_saga_is_cancelled_with_the_call_in_flight(scene):
    """The owner is fenced, and the call in flight is undone with the steps before it."""
    asked = []

    def cancel(request):
        if "/payer/do" in request.headers["Idempotency-Key"]:
            scene.at_each_call = lambda _request: None
            asked.append(scene.service.compensate(UUID(request.headers["Saga-Id"]), "ada", "changed my mind"))

    scene.at_each_call = cancel
    seen_by_client = scene.service.start("checkout", CART)
    assert asked[0].status == "compensated"
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]
    assert scene.rows("SELECT state, error FROM saga") == [
        {"state": "ANNULEE", "error": "Cancelled by ada: changed my mind"}
    ]
    assert seen_by_client.state == "ANNULEE", "the client gets the end of its saga, whichever process ended it"


def test_a_pivot_in_flight_cannot_be_cancelled(scene):
    asked = []

    def cancel(request):
        if "/enregistrer_vente/do" in request.headers["Idempotency-Key"]:
            with pytest.raises(ConflictError):
                scene.service.compensate(UUID(request.headers["Saga-Id"]), "ada", "changed my mind")
            asked.append(True)

    scene.at_each_call = cancel
    assert scene.service.start("checkout", CART).status == "completed"
    assert asked


def test_an_unknown_saga_is_not_found(scene):
    for ask in (scene.service.compensate, scene.service.retry):
        with pytest.raises(NotFoundError):
            ask(uuid4(), "ada", "why not")
    with pytest.raises(NotFoundError):
        scene.service.execute(uuid4())


def test_order_with_a_failed_receipt_compensates_the_steps_before(scene):
    scene.given(
        creer_commande=[answer(201, commande_id="c1")],
        lire_produits=[answer(200, produits=[], montant=5.0)],
        reserver_inventaire=[RESERVED],
        envoyer_recu=[REFUSED],
    )
    order = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 1}]}
    assert scene.service.start(ORDER.name, order).status == "compensated"
    assert scene.calls[-3:] == ["undo_payer", "undo_reserver_inventaire", "undo_creer_commande"]


def test_resolve_moves_a_stuck_saga_past_its_step(scene):
    stuck = scene.given(enregistrer_vente=[LOST] * 4).service.start("checkout", CART)
    assert scene.service.resolve(stuck.id, "ada", "found in the books", {"vente_id": "v1"}).status == "completed"
    assert scene.calls.count("enregistrer_vente") == 4
    (move,) = scene.rows("SELECT actor, reason, step, direction FROM journal WHERE trigger = 'resolve'")
    assert dict(move) == {
        "actor": "ada", "reason": "found in the books", "step": "enregistrer_vente", "direction": "do",
    }  # fmt: skip


def quarantined(scene, **replies):
    """Return a saga that is stuck before its goods were reserved, because processes claimed it too often."""
    scene.given(reserver_stock=[NOT_SENT], **replies).run(max_sleep_s=0)
    for _ in range(11):
        poison = scene.recovered()
    scene.engine.run(poison, 1000)
    assert poison.state == "STUCK_RESERVER_STOCK"
    return poison


def test_resolve_requires_the_fields_that_later_calls_send(scene):
    stuck = quarantined(scene)
    with pytest.raises(InvalidError, match="later calls need the reply of the participant: give reservation_id"):
        scene.service.resolve(stuck.id, "ada", "reserved by phone", {})
    assert scene.rows("SELECT state FROM saga") == [{"state": "STUCK_RESERVER_STOCK"}], "nothing has been done"
    assert scene.service.resolve(stuck.id, "ada", "by phone", {"reservation_id": "r9"}).status == "completed"
    assert scene.requests[-1].body == {"reservation_id": "r9"}


def test_resolved_reply_survives_a_crash(scene):
    stuck = quarantined(scene, payer=[NOT_SENT])
    waiting = scene.service.resolve(stuck.id, "ada", "by phone", {"reservation_id": "r9"}, wait_s=0)
    assert waiting.status == "running"
    scene.runner.stop()
    assert scene.recovered().results["reserver_stock"] == {"reservation_id": "r9"}


def test_only_a_stuck_saga_can_be_resolved(scene):
    saga_id = scene.service.start("checkout", CART).id
    with pytest.raises(ConflictError):
        scene.service.resolve(saga_id, "ada", "why not", {})
