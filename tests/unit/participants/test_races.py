"""Overlapping calls of different sagas, on each database. The barrier orders only calls with equal keys."""

from concurrent.futures import ThreadPoolExecutor

import pytest


def reserve(stock, *lines):
    produits = [{"produit_id": produit_id, "quantite": 1, "prix": 1} for produit_id in lines]
    return stock.post("/reserver", {"produits": produits}).status_code


def test_last_units_are_reserved_only_once_each(serve, database_url):
    stock = serve("stock", database_url)
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: reserve(stock, "789"), range(8)))
    assert statuses == [201] * 3 + [409] * 5
    assert stock.books()["produits"]["789"] == {"initial": 3, "en_main": 0, "reserve": 3, "vendu": 0}


def test_reservations_in_opposite_order_do_not_deadlock(serve, database_url):
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


@pytest.mark.parametrize("route", ["retours", "retours/annoncer"])
def test_two_returns_of_the_same_goods_at_once_cannot_both_pass(serve, database_url, route):
    ventes, line = serve("ventes", database_url), {"produit_id": "456", "quantite": 2, "prix": 10}
    sale = {"client_id": 4, "magasin_id": 1, "produits": [line], "montant": 20}
    for _ in range(10):
        vente_id = ventes.post("/ventes", sale).json["vente_id"]
        returned = {"client_id": 4, "produits": [{**line, "quantite": 1}], "montant": 10}
        with ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(ventes.post, f"/ventes/{vente_id}/{route}", returned) for _ in range(6)]
        assert sorted(call.result().status_code for call in calls) == [201] * 2 + [409] * 4
    assert ventes.books() == {"total": 0 if route == "retours" else 200, "count": 10}


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


def test_simultaneous_returns_never_exceed_the_sold_units(serve, database_url):
    stock, three = serve("stock", database_url), {"produits": [{"produit_id": "789", "quantite": 3}]}
    stock.post("/vendre", {"reservation_id": stock.post("/reserver", three, "s/reserver/do").json["reservation_id"]})
    one = {"produits": [{"produit_id": "789", "quantite": 1}], "achat": "s"}
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: stock.post("/remettre", one).status_code, range(8)))
    assert statuses == [200] * 3 + [409] * 5
    assert stock.books()["produits"]["789"] == {"initial": 3, "en_main": 3, "reserve": 0, "vendu": 0}


def test_credits_and_the_refund_of_a_payment_at_once_never_exceed_it(serve, database_url):
    client = serve("client", database_url)
    for number in range(10):
        client.post("/4/payer", {"montant": 10}, f"s{number}/payer/do")
        half = {"montant": 5, "achat": f"s{number}"}
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(client.post, "/4/crediter", half) for _ in range(3)]
            calls.append(pool.submit(client.post, "/4/rembourser", {}, f"s{number}/payer/undo"))
        assert {call.result().status_code for call in calls} <= {200, 201, 409}
        assert client.get("/4").json["solde"] == 1_000_000
    assert client.books() == {"debits": 100, "remboursements": 100}


def test_return_and_undo_of_its_purchase_restock_each_unit_once(serve, database_url):
    stock = serve("stock", database_url)
    for number in range(10):
        saga, two = f"s{number}", {"produits": [{"produit_id": "789", "quantite": 2}]}
        reservation = stock.post("/reserver", two, f"{saga}/reserver/do").json
        stock.post("/vendre", reservation, f"{saga}/vendre/do")
        one = {"produits": [{"produit_id": "789", "quantite": 1}], "achat": saga}
        with ThreadPoolExecutor(3) as pool:
            calls = [pool.submit(stock.post, "/remettre", one) for _ in range(2)]
            calls.append(pool.submit(stock.post, "/vendre/annuler", {}, f"{saga}/vendre/undo"))
        assert {call.result().status_code for call in calls} == {200}
        assert stock.post("/liberer", {}, f"{saga}/reserver/undo").status_code == 200
        assert stock.books()["produits"]["789"] == {"initial": 3, "en_main": 3, "reserve": 0, "vendu": 0}
