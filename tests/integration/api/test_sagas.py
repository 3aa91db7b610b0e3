"""The general API without participants: refusals, and the definitions."""

import pytest

PURCHASE = {
    "store_id": 1,
    "customer_id": 123,
    "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
    "payment_method": "credit_card",
    "amount": 59.98,
}
SAGAS, DEFINITIONS = "/api/v1/sagas", "/api/v1/definitions"


@pytest.mark.parametrize(
    "query",
    ["status=odd", "limit=0", "limit=201", "limit=x", "offset=-1", "sort=id", "cursor=nonsense", "created_from=soon",
     "nonsense=1", "sort=updated_at&cursor=abc", "stuck=perhaps"],
)  # fmt: skip
def test_invalid_query_of_a_list_is_refused(client, query):
    answer = client.get(f"{SAGAS}?{query}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"data": PURCHASE}, "/type"),
        ({"type": "odd", "data": {}}, "/type"),
        ({"type": "purchase_saga"}, "/data"),
        ({"type": "purchase_saga", "data": []}, "/data"),
        ({"type": "purchase_saga", "data": PURCHASE | {"amount": 1.001}}, "/data/amount"),
        ({"type": "purchase_saga", "data": PURCHASE | {"items": []}}, "/data/items"),
        ({"type": "purchase_saga", "data": PURCHASE, "more": 1}, "/more"),
    ],
)
def test_invalid_saga_is_not_created(client, body, pointer):
    answer = client.post(SAGAS, json=body)
    assert (answer.status_code, [error["pointer"] for error in answer.get_json(force=True)["errors"]]) == (
        400,
        [pointer],
    )
    assert client.get(SAGAS).get_json()["sagas"] == []


def test_definitions_contain_states_transitions_and_schema(client):
    listed = client.get(DEFINITIONS).get_json()["definitions"]
    assert {item["type"] for item in listed} == {"checkout", "commande", "order_saga", "purchase_saga", "return_saga"}
    whole = client.get(f"{DEFINITIONS}/purchase_saga").get_json()
    assert {
        "source": "PENDING",
        "trigger": "refused",
        "dest": "INVENTORY_INVALID",
        "call": "POST stock/disponibilite",
        "when": None,
    } in (whole["rows"])
    assert set(whole["data"]["required"]) == set(PURCHASE)
    assert client.get(f"{DEFINITIONS}/odd").status_code == 404


def test_definition_has_the_words_of_its_table_for_people(client):
    whole = client.get(f"{DEFINITIONS}/checkout").get_json()
    assert whole["title"] == "Checkout"
    assert {step["name"]: step["title"] for step in whole["steps"]}["payer"] == "Take the payment"
    titles = {state["name"]: state["title"] for state in whole["states"]}
    assert (titles["PAIEMENT_EFFECTUE"], titles["STUCK_PAYER"]) == ("paid", "stuck: Take the payment")
    assert {state["title"] for state in client.get(f"{DEFINITIONS}/purchase_saga").json["states"]} >= {""}


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/api/saga/health/", "/health"])
def test_probes_of_every_contract_answer(client, path):
    assert client.get(path).status_code == 200


def test_an_unknown_saga_is_not_found(client):
    unknown = "00000000-0000-4000-8000-000000000000"
    for method, path in (
        ("GET", f"/api/saga/commandes/{unknown}/"),
        ("POST", f"/api/saga/commandes/{unknown}/compenser/"),
        ("GET", f"{SAGAS}/{unknown}"),
        ("GET", f"{SAGAS}/{unknown}/journal"),
        ("POST", f"{SAGAS}/{unknown}/execute"),
        ("POST", f"{SAGAS}/{unknown}/compensate"),
        ("POST", f"{SAGAS}/{unknown}/retry"),
    ):
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.content_type) == (404, "application/problem+json"), path


def test_wrong_line_of_an_order_is_named(client):
    lines = [{"produit_id": "nonsense", "quantite": 0}]
    order = {"client_id": "12345678-1234-1234-1234-123456789012", "lignes": lines}
    answer = client.post("/api/saga/commandes/", json=order)
    assert answer.status_code == 400
    pointers = {error["pointer"] for error in answer.get_json(force=True)["errors"]}
    assert pointers == {"/lignes/0/produit_id", "/lignes/0/quantite"}


def test_a_saga_is_created_once_for_its_key(client):
    body = {"type": "purchase_saga", "data": PURCHASE}
    first, again = (client.post(SAGAS, json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.get_json()["saga"]["id"] == again.get_json()["saga"]["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    body["data"] = PURCHASE | {"customer_id": 5}
    assert client.post(SAGAS, json=body, headers={"Idempotency-Key": "k"}).status_code == 422


def test_a_created_saga_says_that_nothing_runs_yet_and_how_to_start_it(client):
    body = {"type": "purchase_saga", "data": PURCHASE}
    headers = {"Idempotency-Key": "draft"}
    created = client.post(SAGAS, json=body, headers=headers).get_json()
    execute = f"{SAGAS}/{created['saga']['id']}/execute"
    assert created["execute"] == execute
    assert created["message"] == (
        f"Saga created; nothing runs yet. POST {execute} starts it; unstarted, it ends after 7 days"
    )
    assert client.post(created["execute"].replace("execute", "compensate")).status_code == 200
    assert client.post(SAGAS, json=body, headers=headers).get_json()["message"].startswith("The saga of this key")


@pytest.mark.parametrize("prefer", ["wait=5", "respond-async", "return=minimal, wait=1"])
def test_prefer_is_refused_where_nothing_runs_yet(client, prefer):
    body = {"type": "purchase_saga", "data": PURCHASE}
    answer = client.post(SAGAS, json=body, headers={"Prefer": prefer})
    assert (answer.status_code, answer.get_json(force=True)["detail"]) == (
        400, "Prefer: nothing runs yet, so send it with POST …/execute; leave the header out",
    )  # fmt: skip
    assert client.get(SAGAS).get_json()["sagas"] == []
    assert client.post(SAGAS, json=body, headers={"Prefer": "return=minimal"}).status_code == 201
