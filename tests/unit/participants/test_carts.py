def test_a_client_s_own_cart(panier):
    assert panier.get("/1").json == {
        "client_id": 1,
        "produits": [{"produit_id": "789", "quantite": 5, "prix": 12.5}],
        "montant": 62.5,
    }


def test_other_clients_have_the_default_cart(panier):
    for client_id in (2, 3, 4, 123456):
        cart = panier.get(f"/{client_id}").json
        assert (cart["client_id"], cart["montant"], len(cart["produits"])) == (client_id, 59.97, 2)


def test_without_a_cart_it_is_not_found(panier):
    with panier.app.app_context():
        panier.db.session.execute(panier.db.text("DELETE FROM paniers"))
        panier.db.session.commit()
    reply = panier.get("/4")
    assert (reply.status_code, reply.content_type) == (404, "application/problem+json")


def test_reading_leaves_no_trace(panier):
    panier.get("/4")
    assert (panier.get("/_ledger").json, panier.books()) == ([], {})
