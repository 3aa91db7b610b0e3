import pytest

SALE = {
    "produits": [{"produit_id": "456", "quantite": 2, "prix": 14.99}],
    "client_id": 4,
    "magasin_id": 1,
    "montant": 29.98,
}


def test_sale_is_stored_and_can_be_read(ventes):
    reply = ventes.post("/ventes", SALE)
    assert reply.status_code == 201
    assert reply.json == {**SALE, "vente_id": reply.json["vente_id"], "magasin_id": "1"}
    assert ventes.get(f"/ventes/{reply.json['vente_id']}").json == {**reply.json, "annulee": False, "rendu": 0}
    assert ventes.books() == {"total": 29.98, "count": 1}


def test_blocked_buyer_is_refused_and_nothing_is_stored(ventes):
    reply = ventes.post("/ventes", {**SALE, "client_id": 3})
    assert (reply.status_code, reply.content_type) == (409, "application/problem+json")
    assert (ventes.books(), ventes.states()) == ({"total": 0, "count": 0}, ["refused"])


def test_blocked_buyers_are_rows_of_the_database(ventes):
    with ventes.app.app_context():
        ventes.db.session.execute(ventes.db.text("UPDATE acheteurs_bloques SET client_id = 4"))
        ventes.db.session.commit()
    assert ventes.post("/ventes", {**SALE, "client_id": 3}).status_code == 201
    assert ventes.post("/ventes", SALE).status_code == 409


def test_an_unknown_sale_is_not_found(ventes):
    reply = ventes.get("/ventes/none")
    assert (reply.status_code, reply.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize("field", list(SALE))
def test_a_missing_field_is_refused_with_its_name(ventes, field):
    reply = ventes.post("/ventes", {name: value for name, value in SALE.items() if name != field})
    assert (reply.status_code, list(reply.json["errors"]), ventes.books()["count"]) == (400, [field], 0)
