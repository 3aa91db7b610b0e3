import pytest

ORDER = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 2}]}
NOTHING = {"creee": 0, "confirmee": 0, "annulee": 0}


def create(commandes, key="s/creer/do", **changes):
    return commandes.post("/commandes", ORDER | changes, key)


def confirm(commandes, commande_id, key=None):
    return commandes.post("/commandes/confirmer", {"commande_id": commande_id}, key)


def test_order_is_stored_and_can_be_read(commandes):
    reply = create(commandes)
    expected = {"client_id": "4", "magasin_id": "1", "montant": None, "etat": "creee"}
    assert (reply.status_code, expected.items() <= reply.json.items()) == (201, True)
    assert commandes.get(f"/commandes/{reply.json['commande_id']}").json == reply.json
    assert commandes.books() == NOTHING | {"creee": 1}


def test_clients_and_shops_may_be_uuids_and_an_order_may_have_an_amount(commandes):
    uuid = "12345678-1234-1234-1234-123456789012"
    lines = [{"product_id": 456, "quantity": 2, "price": 29.99}]
    reply = create(commandes, client_id=uuid, magasin_id=uuid, montant=59.98, produits=lines)
    assert (reply.json["client_id"], reply.json["magasin_id"], reply.json["montant"]) == (uuid, uuid, 59.98)
    assert reply.json["produits"] == [{"produit_id": "456", "quantite": 2, "prix": 29.99}]


@pytest.mark.parametrize("magasin_id", [99, "99", "550e8400-e29b-41d4-a716-446655440099"])
def test_closed_shop_refuses_an_order_and_nothing_is_stored(commandes, magasin_id):
    reply = create(commandes, magasin_id=magasin_id)
    assert (reply.status_code, reply.json["title"]) == (409, "Closed shop")
    assert (commandes.books(), commandes.states()) == (NOTHING, ["refused"])


def test_cancelling_an_order(commandes):
    commande_id = create(commandes).json["commande_id"]
    assert commandes.post("/commandes/annuler", {}, "s/creer/undo").json["etat"] == "annulee"
    assert commandes.get(f"/commandes/{commande_id}").json["etat"] == "annulee"
    assert confirm(commandes, commande_id).status_code == 409
    assert commandes.books() == NOTHING | {"annulee": 1}


def test_order_is_confirmed_with_any_key(commandes):
    commande_id = create(commandes).json["commande_id"]
    replies = [confirm(commandes, commande_id, key) for key in ("s/confirmer/do", "s/confirmer/do", "t/again/do")]
    assert {(reply.status_code, reply.json["etat"]) for reply in replies} == {(200, "confirmee")}
    assert commandes.books() == NOTHING | {"confirmee": 1}


def test_a_confirmed_order_cannot_be_cancelled(commandes):
    confirm(commandes, create(commandes).json["commande_id"])
    assert commandes.post("/commandes/annuler", {}, "s/creer/undo").status_code == 409
    assert commandes.books() == NOTHING | {"confirmee": 1}


def test_an_unknown_order_is_not_found_and_that_is_not_remembered(commandes):
    assert (confirm(commandes, "none").status_code, commandes.get("/commandes/none").status_code) == (404, 404)
    assert commandes.states() == []


@pytest.mark.parametrize("field", list(ORDER))
def test_a_missing_field_is_refused_with_its_name(commandes, field):
    reply = commandes.post("/commandes", {name: value for name, value in ORDER.items() if name != field})
    assert (reply.status_code, list(reply.json["errors"])) == (400, [field])
