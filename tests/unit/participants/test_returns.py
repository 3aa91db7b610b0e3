"""The goods of a sale that may be returned, and the effects of cancelling a sale."""

import pytest

SALE = {
    "produits": [{"product_id": 456, "quantity": 2, "price": 29.99}, {"product_id": 789, "quantity": 1, "price": 12.5}],
    "client_id": 123,
    "magasin_id": 1,
    "montant": 72.48,
}


def brought(quantite=1, produit_id=456, montant=29.99, client_id=123):
    line = {"product_id": produit_id, "quantity": quantite, "reason": "defective"}
    return {"client_id": client_id, "produits": [line], "montant": montant}


@pytest.fixture
def sale(ventes):
    return f"/ventes/{ventes.post('/ventes', SALE, 's/vendre/do').json['vente_id']}"


def test_goods_of_a_sale_can_be_returned_and_asking_changes_nothing(ventes, sale):
    before = ventes.states()
    reply = ventes.ask(f"{sale}/retournable", brought(2, montant=59.98))
    assert (reply.status_code, reply.json["produits"]) == (200, [{"produit_id": "456", "quantite": 2}])
    assert (ventes.get(sale).json["rendu"], ventes.states()) == (0, before)


def test_return_is_stored_and_deducted_from_the_total(ventes, sale):
    reply = ventes.post(f"{sale}/retours", brought())
    assert (reply.status_code, reply.json["montant"]) == (201, 29.99)
    assert ventes.get(sale).json["rendu"] == 29.99
    assert ventes.books() == {"total": 42.49, "count": 1}


REFUSALS = {
    "of another client": (brought(client_id=4), 409, "Another client's sale"),
    "of what was not bought": (brought(1, 111), 409, "Not in the sale"),
    "of more than was bought": (brought(3, montant=0), 409, "More than was sold"),
    "for more than it cost": (brought(1, montant=30), 409, "Too much money"),
    "without a client": ({**brought(), "client_id": None}, 400, "Invalid body"),
}


@pytest.mark.parametrize("route", ["retournable", "retours", "retours/annoncer"])
@pytest.mark.parametrize("why", REFUSALS)
def test_a_return_is_refused(ventes, sale, route, why):
    body, status, title = REFUSALS[why]
    reply = ventes.post(f"{sale}/{route}", body)
    assert (reply.status_code, reply.json["title"]) == (status, title)
    assert ventes.books() == {"total": 72.48, "count": 1}


@pytest.mark.parametrize("route", ["retournable", "retours", "retours/annoncer"])
def test_unknown_or_cancelled_sale_cannot_be_returned(ventes, sale, route):
    assert ventes.post(f"/ventes/none/{route}", brought()).status_code == 404
    ventes.post("/ventes/annuler", {}, "s/vendre/undo")
    reply = ventes.post(f"{sale}/{route}", brought())
    assert (reply.status_code, reply.json["title"]) == (409, "Cancelled sale")


@pytest.mark.parametrize("route", ["retours", "retours/annoncer"])
def test_returned_or_announced_goods_cannot_be_returned_again(ventes, sale, route):
    for status in (201, 201, 409):
        assert ventes.post(f"{sale}/{route}", brought()).status_code == status
    reply = ventes.ask(f"{sale}/retournable", brought())
    assert reply.json["detail"] == "Product 456: 1 brought back, 0 left of the sale"
    assert ventes.post(f"{sale}/{route}", brought(1, 789, 12.5)).status_code == 201
    assert ventes.books() == {"total": 0 if route == "retours" else 72.48, "count": 1}


def test_a_return_that_is_undone_may_happen_again(ventes, sale):
    done = ventes.post(f"{sale}/retours", brought(2, montant=59.98), "r/retour/do")
    undone = ventes.post(f"{sale}/retours/annuler", {}, "r/retour/undo")
    assert (undone.status_code, undone.json) == (200, done.json)
    assert ventes.books() == {"total": 72.48, "count": 1}
    assert ventes.post(f"{sale}/retours", brought(2, montant=59.98)).status_code == 201


def test_product_sold_at_two_prices_is_refunded_at_the_higher(ventes):
    lines = [{"produit_id": "456", "quantite": 1, "prix": prix} for prix in (10, 4)]
    sale = ventes.post("/ventes", {**SALE, "produits": lines, "montant": 12}).json["vente_id"]
    assert ventes.post(f"/ventes/{sale}/retours", brought(1, montant=10)).status_code == 201
    reply = ventes.post(f"/ventes/{sale}/retours", brought(1, montant=2.01))
    assert (reply.status_code, reply.json["maximum"]) == (409, 2)


def test_cancelled_sale_is_kept_but_not_in_the_books(ventes, sale):
    reply = ventes.post("/ventes/annuler", {}, "s/vendre/undo")
    assert (reply.status_code, reply.json["annulee"]) == (200, True)
    assert ventes.get(sale).json["annulee"] is True
    assert ventes.books() == {"total": 0, "count": 0}


def announce(ventes, sale, *args, saga="r", **body):
    return ventes.post(f"{sale}/retours/annoncer", brought(*args, **body), f"{saga}/annoncer/do")


def record(ventes, sale, announced, saga="r"):
    return ventes.post(f"{sale}/retours/enregistrer", announced.json, f"{saga}/enregistrer/do")


def test_announced_return_counts_when_it_is_recorded(ventes, sale):
    announced = announce(ventes, sale)
    assert (announced.status_code, announced.json["achat"]) == (201, "s")
    assert (ventes.get(sale).json["rendu"], ventes.books()["total"]) == (0, 72.48)
    assert record(ventes, sale, announced).status_code == 200
    assert (ventes.get(sale).json["rendu"], ventes.books()["total"]) == (29.99, 42.49)


def test_a_record_that_is_undone_leaves_the_return_announced(ventes, sale):
    announced = announce(ventes, sale, 2, montant=59.98)
    record(ventes, sale, announced)
    assert ventes.post(f"{sale}/retours/enregistrer/annuler", {}, "r/enregistrer/undo").status_code == 200
    assert (ventes.books()["total"], announce(ventes, sale, saga="q").status_code) == (72.48, 409)


def test_a_return_that_is_withdrawn_may_be_announced_again(ventes, sale):
    announced = announce(ventes, sale, 2, montant=59.98)
    assert ventes.post(f"{sale}/retours/annoncer/annuler", {}, "r/annoncer/undo").status_code == 200
    assert record(ventes, sale, announced).status_code == 409
    assert announce(ventes, sale, 2, montant=59.98, saga="q").status_code == 201


@pytest.mark.parametrize("sale_id", ["of another", "none"])
def test_a_return_is_recorded_at_its_own_sale_only(ventes, sale, sale_id):
    announced = announce(ventes, sale)
    reply = ventes.post(f"/ventes/{sale_id}/retours/enregistrer", announced.json)
    assert (reply.status_code, reply.json["title"]) == (409, "Not announced")
    assert ventes.books()["total"] == 72.48


@pytest.mark.parametrize("recorded", ["before", "after", "never"])
def test_sale_with_returns_is_cancelled_and_worth_nothing(ventes, sale, recorded):
    announced = announce(ventes, sale)
    if recorded == "before":
        record(ventes, sale, announced)
    assert ventes.post("/ventes/annuler", {}, "s/vendre/undo").status_code == 200
    if recorded == "after":
        assert record(ventes, sale, announced).status_code == 200
    assert ventes.books() == {"total": 0, "count": 0}


def test_sale_with_a_v1_return_is_cancelled_after_the_undo(ventes, sale):
    ventes.post(f"{sale}/retours", brought(), "r/retour/do")
    assert ventes.post("/ventes/annuler", {}, "s/vendre/undo").status_code == 409
    assert ventes.books() == {"total": 42.49, "count": 1}
    ventes.post(f"{sale}/retours/annuler", {}, "r/retour/undo")
    assert ventes.post("/ventes/annuler", {}, "s/vendre/undo").status_code == 200
