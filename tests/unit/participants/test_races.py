"""Reservations of different sagas that overlap, on each database: here the barrier does not help."""

from concurrent.futures import ThreadPoolExecutor


def reserve(stock, *lines):
    produits = [{"produit_id": produit_id, "quantite": 1, "prix": 1} for produit_id in lines]
    return stock.post("/reserver", {"produits": produits}).status_code


def test_the_last_units_go_to_as_many_buyers_as_there_are_units(serve, database_url):
    stock = serve("stock", database_url)
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: reserve(stock, "789"), range(8)))
    assert statuses == [201] * 3 + [409] * 5
    assert stock.books()["produits"]["789"] == {"initial": 3, "en_main": 0, "reserve": 3, "vendu": 0}


def test_reservations_of_the_same_products_in_another_order_do_not_lock_each_other_out(serve, database_url):
    stock = serve("stock", database_url)
    pair = ["456", "550e8400-e29b-41d4-a716-446655440001"]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: reserve(stock, *pair[:: (-1) ** number]), range(80)))
    assert set(statuses) == {201}
    assert [stock.books()["produits"][each]["reserve"] for each in pair] == [80, 80]


def test_simultaneous_payments_never_overdraw_an_account(serve, database_url):
    client = serve("client", database_url)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: client.post("/2/payer", {"montant": 4}).status_code, range(8)))
    assert sorted(statuses) == [201] * 2 + [402] * 6
    assert (client.get("/2").json["solde"], client.books()["debits"]) == (2, 8)


def test_two_returns_of_the_same_goods_at_once_cannot_both_pass(serve, database_url):
    ventes, line = serve("ventes", database_url), {"produit_id": "456", "quantite": 2, "prix": 10}
    sale = {"client_id": 4, "magasin_id": 1, "produits": [line], "montant": 20}
    for _ in range(10):
        vente_id = ventes.post("/ventes", sale).json["vente_id"]
        returned = {"client_id": 4, "produits": [{**line, "quantite": 1}], "montant": 10}
        with ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(ventes.post, f"/ventes/{vente_id}/retours", returned) for _ in range(6)]
        assert sorted(call.result().status_code for call in calls) == [201] * 2 + [409] * 4
    assert ventes.books() == {"total": 0, "count": 10}


def test_a_sale_is_either_cancelled_or_returned(serve, database_url):
    ventes, line = serve("ventes", database_url), {"produit_id": "456", "quantite": 1, "prix": 10}
    sale = {"client_id": 4, "magasin_id": 1, "produits": [line], "montant": 10}
    for number in range(10):
        vente_id = ventes.post("/ventes", sale, f"s{number}/vendre/do").json["vente_id"]
        with ThreadPoolExecutor(2) as pool:
            calls = [
                pool.submit(ventes.post, f"/ventes/{vente_id}/retours", {**sale, "montant": 10}),
                pool.submit(ventes.post, "/ventes/annuler", {}, f"s{number}/vendre/undo"),
            ]
        assert [call.result().status_code for call in calls] in ([201, 409], [409, 200])
    assert ventes.books()["total"] == 0


def test_no_more_units_come_back_than_were_sold_however_many_bring_them(serve, database_url):
    stock, three = serve("stock", database_url), {"produits": [{"produit_id": "789", "quantite": 3}]}
    stock.post("/vendre", {"reservation_id": stock.post("/reserver", three).json["reservation_id"]})
    one = {"produits": [{"produit_id": "789", "quantite": 1}]}
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: stock.post("/remettre", one).status_code, range(8)))
    assert statuses == [200] * 3 + [409] * 5
    assert stock.books()["produits"]["789"] == {"initial": 3, "en_main": 3, "reserve": 0, "vendu": 0}
