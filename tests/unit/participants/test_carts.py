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


def cart_of(produit_id):
    return {"produits": [{"produit_id": produit_id, "quantite": 1, "prix": 1.5}]}


def fill(panier, client_id, produit_id, **more):
    assert panier.app.test_client().put(f"/{client_id}", json=cart_of(produit_id) | more).status_code == 200


def empty(panier, path):
    assert panier.app.test_client().delete(path).status_code == 204


def products_of(panier, client_id):
    return [line["produit_id"] for line in panier.get(f"/{client_id}").json["produits"]]


def test_emptied_cart_is_the_first_cart_again_on_each_database(serve, database_url):
    panier = serve("panier", database_url)
    for client_id in (1, 4):
        first = products_of(panier, client_id)
        fill(panier, client_id, "101")
        fill(panier, client_id, "102")
        assert products_of(panier, client_id) == ["102"]
        for _ in range(2):
            empty(panier, f"/{client_id}")
        assert products_of(panier, client_id) == first


def test_cart_that_was_filled_for_another_order_is_not_emptied(panier):
    fill(panier, 4, "101", commande="order-1")
    fill(panier, 4, "102", commande="order-2")
    empty(panier, "/4?commande=order-1")
    assert products_of(panier, 4) == ["102"]
    empty(panier, "/4?commande=order-2")
    assert products_of(panier, 4) == products_of(panier, 5)


def test_carts_that_an_earlier_release_filled_are_kept_until_they_are_emptied(serve, sqlite_url):
    panier = serve("panier", sqlite_url)
    with panier.app.app_context():
        panier.db.session.execute(panier.db.text("DROP TABLE paniers_remplis"))
        panier.db.session.execute(
            panier.db.text("INSERT INTO paniers VALUES (3, 4, :lines)"),
            {"lines": '[{"produit_id": "101", "quantite": 1, "prix": 150}]'},
        )
        panier.db.session.commit()
    panier = serve("panier", sqlite_url)
    assert products_of(panier, 4) == ["101"]
    empty(panier, "/4")
    empty(panier, "/1")
    assert products_of(panier, 4) == products_of(panier, 5)
    assert products_of(panier, 1) == ["789"]
