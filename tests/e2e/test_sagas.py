"""A purchase and its return through the general API, as in the reference documents."""

import threading

import pytest
import requests

from tests.e2e.bodies import PURCHASE, return_of


@pytest.fixture
def api(orchestrator, participants):
    server = orchestrator()

    def call(method, path, body=None, **headers):
        url = f"{server.url}/api/v1/sagas{path}"
        return requests.request(method, url, json=body, headers=headers, timeout=120)

    return call


def run(api, saga_type, data):
    created = api("POST", "", {"type": saga_type, "data": data})
    assert (created.status_code, created.json()["saga"]["status"]) == (201, "pending")
    return api("POST", f"/{created.json()['saga']['id']}/execute").json()["saga"]


def test_a_purchase_runs_through_the_steps_of_the_document(api, participants):
    saga = run(api, "purchase_saga", PURCHASE)
    assert (saga["status"], saga["state"]) == ("completed", "COMPLETED")
    assert [(step["type"], step["status"], step["step_order"]) for step in saga["steps"]] == [
        ("VALIDATE_INVENTORY", "completed", 1),
        ("RESERVE_INVENTORY", "completed", 2),
        ("PROCESS_PAYMENT", "completed", 3),
        ("CREATE_SALE", "completed", 4),
        ("UPDATE_INVENTORY", "completed", 5),
    ]
    whole = api("GET", f"/{saga['id']}").json()
    assert whole["data"] == PURCHASE
    assert whole["steps"][2]["input_data"] == {"montant": 59.98}
    assert whole["remaining_steps"] == []
    assert [move["dest"] for move in whole["journal"]] == [
        "PENDING", "INVENTORY_VALIDATED", "INVENTORY_RESERVED", "PAYMENT_PROCESSED", "SALE_CREATED", "COMPLETED",
    ]  # fmt: skip
    assert api("GET", f"/{saga['id']}/journal").json()["journal"] == whole["journal"]
    participants.assert_balanced()


def test_completed_purchase_is_compensated_on_request(api, participants):
    saga = run(api, "purchase_saga", PURCHASE)
    answer = api("POST", f"/{saga['id']}/compensate", {"reason": "ordered twice"})
    assert (answer.status_code, answer.json()["saga"]["status"]) == (200, "compensated")
    assert [step["status"] for step in answer.json()["saga"]["steps"]] == ["completed", *["compensated"] * 4]
    assert set(participants.effects(saga["id"]).values()) == {"undone"}
    participants.assert_balanced()
    assert api("POST", f"/{saga['id']}/compensate").status_code == 409


def test_a_refused_payment_releases_the_reservation(api, participants):
    saga = run(api, "purchase_saga", PURCHASE | {"customer_id": 2})
    assert (saga["status"], saga["error_message"].split(":")[0]) == ("compensated", "PAYMENT_FAILED")
    assert [step["status"] for step in saga["steps"]] == ["completed", "compensated", "failed", "pending", "pending"]
    assert participants.effects(saga["id"]) == {"RESERVE_INVENTORY": "undone", "PROCESS_PAYMENT": "refused"}
    participants.assert_balanced()


def test_purchase_is_returned_once(api, participants):
    purchase = run(api, "purchase_saga", PURCHASE)
    before = participants.get("/stock/_balance")["produits"]["456"]
    returned = run(api, "return_saga", return_of(purchase, 2, 59.98))
    assert (returned["status"], [step["status"] for step in returned["steps"]]) == ("completed", ["completed"] * 4)
    after = participants.get("/stock/_balance")["produits"]["456"]
    assert (after["en_main"] - before["en_main"], before["vendu"] - after["vendu"]) == (2, 2)
    again = run(api, "return_saga", return_of(purchase, 1))
    assert (again["status"], again["error_message"].split(":")[0]) == ("compensated", "RETURN_INVALID")
    assert participants.effects(again["id"]) == {"VALIDATE_RETURN": "refused"}, "it stops at once"
    participants.assert_balanced()


def test_two_returns_of_the_same_goods_at_once_give_one_refund(api, participants):
    purchase = run(api, "purchase_saga", PURCHASE)
    before = participants.get("/client/_balance")["remboursements"]
    gate, outcomes = threading.Barrier(4), []

    def give_back():
        gate.wait()
        outcomes.append(run(api, "return_saga", return_of(purchase, 2, 59.98))["status"])

    threads = [threading.Thread(target=give_back) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Two completed returns would be two refunds. Even the first return may fail when a slow participant times out.
    assert outcomes.count("completed") <= 1
    assert set(outcomes) <= {"completed", "compensated"}
    refunded = participants.get("/client/_balance")["remboursements"] - before
    assert round(refunded, 2) == 59.98 * outcomes.count("completed")
    participants.assert_balanced()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sale_id": "unknown"}, "unknown sale"),
        ({"customer_id": 124}, "another's"),
        ({"refund_amount": 500.0}, "too much"),
    ],
)
def test_return_that_does_not_fit_the_sale_is_refused_at_once(api, participants, changes, what):
    purchase = run(api, "purchase_saga", PURCHASE)
    saga = run(api, "return_saga", return_of(purchase) | changes)
    assert (saga["status"], participants.effects(saga["id"])) == ("compensated", {"VALIDATE_RETURN": "refused"}), what


def test_unit_reserved_by_one_saga_cannot_be_sold_by_another(api, participants):
    """Both sagas take the product 789 from one stock, which has only three units of it."""
    held = {"product_id": 789, "quantity": 3, "price": 12.5}
    first = run(api, "purchase_saga", PURCHASE | {"items": [held], "amount": 37.5})
    second = run(api, "purchase_saga", PURCHASE | {"items": [held | {"quantity": 1}], "amount": 12.5})
    assert (first["status"], second["status"]) == ("completed", "compensated")
    api("POST", f"/{first['id']}/compensate")
    participants.assert_balanced()


def test_sagas_are_listed_filtered_and_paged(api, participants):
    ids = [run(api, "purchase_saga", PURCHASE)["id"] for _ in range(3)]
    pending = api("POST", "", {"type": "purchase_saga", "data": PURCHASE | {"customer_id": 77}}).json()["saga"]["id"]

    def listed(query):
        body = api("GET", f"?{query}").json()
        return [saga["id"] for saga in body["sagas"]], body["pagination"]

    assert listed("")[0] == [pending, *reversed(ids)]
    assert listed("sort=created_at")[0] == [*ids, pending]
    assert listed("status=completed&type=purchase_saga")[0] == list(reversed(ids))
    assert listed("status=pending")[0] == listed("client=77")[0] == [pending]
    assert listed("state=COMPLETED&store=1&client=123")[1]["total"] == 3
    assert (
        listed("type=return_saga")[0] == listed("stuck=true")[0] == listed("created_to=2020-01-01T00:00:00Z")[0] == []
    )
    assert listed("created_from=2020-01-01T00:00:00Z")[1]["total"] == 4
    page, place = listed("limit=2")
    assert (page, place["has_more"], place["total"]) == ([pending, ids[2]], True, 4)
    assert listed("limit=2&offset=2")[0] == [ids[1], ids[0]]
    further, end = listed(f"limit=2&cursor={place['next_cursor']}")
    assert (further, end["has_more"], end["next_cursor"]) == ([ids[1], ids[0]], False, None)


def test_an_order_with_a_receipt_is_confirmed(api, participants):
    data = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 2}]}
    saga = run(api, "order_saga", data)
    states = [move["dest"] for move in api("GET", f"/{saga['id']}").json()["journal"]]
    assert states == [
        "EnAttente", "CommandeCreate", "ProduitExist", "InventaireReserve", "PaiementConfirm", "TransactionGenerate",
        "InventaireVendu", "CommandeConfirm",
    ]  # fmt: skip
    refused = api("POST", f"/{saga['id']}/compensate")
    assert (refused.status_code, "pivot" in refused.json()["detail"]) == (409, True)


def test_order_that_cannot_be_paid_is_compensated_completely(api, participants):
    data = {"client_id": 2, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 2}]}
    saga = run(api, "order_saga", data)
    assert (saga["state"], saga["error_message"].split(":")[0]) == ("CommandeCancel", "PaiementCancel")
    participants.assert_balanced()
