"""Units of the stock: available, sold, returned and delivered."""

import pytest

KEYBOARD, RARE = "550e8400-e29b-41d4-a716-446655440001", "789"


ID = "reservation_id"


def line(quantite, produit_id=RARE):
    return {"produit_id": produit_id, "quantite": quantite}


def reserved(stock, quantite=2):
    return {"reservation_id": stock.post("/reserver", {"produits": [line(quantite)]}, "s/reserver/do").json[ID]}


def sold(stock, quantite=2):
    stock.post("/vendre", reserved(stock, quantite), "s/vendre/do")


def bring_back(stock, *lines, saga="r", achat="s"):
    return stock.post("/remettre", {"achat": achat, "produits": list(lines)}, f"{saga}/remettre/do")


def units(stock, produit_id=RARE):
    return tuple(stock.books()["produits"][produit_id].values())


def test_availability_is_answered_per_line_without_a_key(stock):
    reply = stock.ask("/disponibilite", {"produits": [line(3), {"produit_id": 456, "quantite": 1, "prix": 2.5}]})
    assert (reply.status_code, reply.json["produits"]) == (
        200,
        [
            {"produit_id": "789", "quantite": 3, "disponible": 3},
            {"produit_id": "456", "quantite": 1, "prix": 2.5, "disponible": 1_000_000},
        ],
    )
    assert (stock.states(), units(stock)) == ([], (3, 3, 0, 0))


def test_a_shortage_names_its_line_its_product_and_both_quantities(stock):
    reply = stock.ask("/disponibilite", {"produits": [line(1, "456"), line(1000, KEYBOARD)]})
    assert (reply.status_code, reply.content_type) == (409, "application/problem+json")
    assert reply.json["detail"] == f"Line 2: Product {KEYBOARD}: 1000 asked, 500 available"
    shortage = {"ligne": 2, "produit_id": KEYBOARD, "demande": 1000, "disponible": 500}
    assert shortage.items() <= reply.json.items()


def test_shortage_of_a_sum_is_reported_at_the_last_line(stock):
    reply = stock.ask("/disponibilite", {"produits": [line(2), line(2)]})
    assert (reply.status_code, reply.json["ligne"], reply.json["demande"]) == (409, 2, 4)


def test_an_unknown_product_is_not_available(stock):
    reply = stock.ask("/disponibilite", {"produits": [line(1), line(1, "nothing")]})
    assert (reply.status_code, reply.json["produit_id"], reply.json["ligne"]) == (404, "nothing", 2)


def test_lines_are_read_in_english_too_and_answered_in_french(stock):
    english = {"product_id": 789, "quantity": 2, "price": 12.5, "reason": "defective"}
    french = {"produit_id": "789", "quantite": 2, "prix": 12.5}
    assert stock.ask("/disponibilite", {"produits": [english]}).json["produits"] == [{**french, "disponible": 3}]
    assert stock.post("/reserver", {"produits": [english]}).json["produits"] == [french]


def test_line_that_is_not_an_object_is_refused(stock):
    assert stock.post("/reserver", {"produits": ["789"]}).status_code == 400


def test_reservation_is_sold(stock):
    reservation = reserved(stock)
    reply = stock.post("/vendre", reservation)
    assert (reply.status_code, reply.json) == (200, {**reservation, "etat": "vendue"})
    assert units(stock) == (3, 1, 0, 2)


@pytest.mark.parametrize("other", ["/vendre", "/confirmer"])
def test_reservation_sold_by_another_call_is_refused(stock, other):
    reservation = reserved(stock)
    stock.post(other, reservation)
    assert stock.post("/vendre", reservation).status_code == 409
    assert units(stock) == (3, 1, 0, 2)


def test_an_unknown_reservation_cannot_be_sold(stock):
    assert stock.post("/vendre", {ID: "none"}).status_code == 404


def test_a_sale_that_is_undone_is_a_reservation_that_can_be_released(stock):
    sold(stock)
    assert stock.post("/liberer", {}, "s/reserver/undo").status_code == 409
    assert stock.post("/vendre/annuler", {}, "s/vendre/undo").json["etat"] == "reservee"
    assert units(stock) == (3, 1, 2, 0)
    assert stock.post("/liberer", {}, "s/reserver/undo").status_code == 200
    assert units(stock) == (3, 3, 0, 0)


def test_undo_of_a_sale_moves_only_its_unreturned_units(stock):
    sold(stock, 2)
    other = stock.post("/reserver", {"produits": [line(1)]}, "t/reserver/do").json[ID]
    stock.post("/vendre", {ID: other}, "t/vendre/do")
    bring_back(stock, line(1))
    assert units(stock) == (3, 1, 0, 2)
    assert stock.post("/vendre/annuler", {}, "s/vendre/undo").status_code == 200
    assert units(stock) == (3, 1, 1, 1)
    assert stock.post("/liberer", {}, "s/reserver/undo").status_code == 200
    assert units(stock) == (3, 2, 0, 1)


@pytest.mark.parametrize("undone", [(), ("vendre",), ("vendre", "reserver")])
def test_goods_returned_during_the_undo_are_restocked_once(stock, undone):
    steps = ("vendre", "reserver")
    paths = {"vendre": "/vendre/annuler", "reserver": "/liberer"}
    sold(stock)
    for step in undone:
        stock.post(paths[step], {}, f"s/{step}/undo")
    assert bring_back(stock, line(1)).status_code == 200
    for step in steps[len(undone) :]:
        assert stock.post(paths[step], {}, f"s/{step}/undo").status_code == 200
    assert units(stock) == (3, 3, 0, 0)


@pytest.mark.parametrize("undone", [0, 1, 2])
def test_return_undone_during_the_undo_moves_no_unit_twice(stock, undone):
    undos = (("/vendre/annuler", "s/vendre/undo"), ("/liberer", "s/reserver/undo"))
    sold(stock)
    bring_back(stock, line(2))
    for path, key in undos[:undone]:
        stock.post(path, {}, key)
    assert stock.post("/remettre/annuler", {}, "r/remettre/undo").status_code == 200
    for path, key in undos[undone:]:
        assert stock.post(path, {}, key).status_code == 200
    assert units(stock) == (3, 3, 0, 0)


def test_goods_that_come_back_before_they_are_sold_are_not_sold(stock):
    reservation = reserved(stock)
    assert bring_back(stock, line(1)).status_code == 200
    assert stock.post("/vendre", reservation, "s/vendre/do").status_code == 200
    assert units(stock) == (3, 2, 0, 1)


def test_returned_goods_are_on_hand_again(stock):
    sold(stock)
    reply = bring_back(stock, line(1), line(1))
    assert (reply.status_code, reply.json["produits"]) == (200, [line(1), line(1)])
    assert units(stock) == (3, 3, 0, 0)


def test_purchase_without_a_reservation_cannot_be_returned(stock):
    sold(stock)
    assert bring_back(stock, line(1), achat="t").status_code == 404
    assert stock.post("/remettre", {"produits": [line(1)]}).json["title"] == "Invalid body"
    assert units(stock) == (3, 1, 0, 2)


def test_return_never_exceeds_the_sold_units(stock):
    sold(stock)
    other = stock.post("/reserver", {"produits": [line(1)]}, "t/reserver/do").json[ID]
    stock.post("/vendre", {ID: other}, "t/vendre/do")
    before = stock.books()
    reply = bring_back(stock, line(1), line(2))
    assert (reply.status_code, reply.json["detail"]) == (409, "Purchase s: Product 789: 3 asked, 2 sold")
    assert stock.books() == before
    assert bring_back(stock, line(1, "456"), saga="q").status_code == 404


def test_a_return_that_is_undone_is_sold_again(stock):
    sold(stock)
    bring_back(stock, line(2))
    assert stock.post("/remettre/annuler", {"produits": [line(9)]}, "r/remettre/undo").status_code == 200
    assert units(stock) == (3, 1, 0, 2)


def test_a_return_whose_goods_are_gone_again_cannot_be_undone(stock):
    sold(stock)
    bring_back(stock, line(2))
    stock.post("/reserver", {"produits": [line(3)]})
    assert stock.post("/remettre/annuler", {}, "r/remettre/undo").status_code == 409
    assert units(stock) == (3, 0, 3, 0)


def test_delivery_increases_on_hand_and_total(stock):
    reply = stock.post("/livraisons", line(7))
    assert (reply.status_code, reply.json) == (201, {**line(7), "disponible": 10})
    assert units(stock) == (10, 10, 0, 0)
    assert {"produit_id": "789", "disponible": 10} in stock.get("/produits").json["produits"]


def test_repeated_delivery_counts_once(stock):
    for _ in range(2):
        assert stock.post("/livraisons", line(7), "order/livrer/do").status_code == 201
    assert units(stock) == (10, 10, 0, 0)


def test_unknown_product_cannot_be_delivered(stock):
    assert stock.post("/livraisons", line(1, "nothing")).status_code == 404
