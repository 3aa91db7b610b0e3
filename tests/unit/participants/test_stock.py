import pytest

CABLE, KEYBOARD, RARE = "456", "550e8400-e29b-41d4-a716-446655440001", "789"


def line(produit_id, quantite, prix=14.99):
    return {"produit_id": produit_id, "quantite": quantite, "prix": prix}


def reserve(stock, *lines, key=None):
    return stock.post("/reserver", {"produits": list(lines)}, key)


@pytest.fixture(autouse=True)
def every_unit_is_somewhere(stock):
    yield
    for units in stock.books()["produits"].values():
        assert units["initial"] == units["en_main"] + units["reserve"] + units["vendu"]


def units(stock, produit_id):
    of = stock.books()["produits"][produit_id]
    return of["en_main"], of["reserve"], of["vendu"]


def test_reserving_moves_units_from_on_hand_to_reserved(stock):
    reply = reserve(stock, line(456, 2), line(RARE, 1, 12.5))
    assert reply.status_code == 201
    assert reply.json["produits"] == [line("456", 2), line("789", 1, 12.5)]
    assert units(stock, CABLE) == (999_998, 2, 0)
    assert units(stock, RARE) == (2, 1, 0)


def test_a_product_on_two_lines_is_reserved_for_both(stock):
    assert reserve(stock, line(RARE, 1), line(789, 2)).status_code == 201
    assert units(stock, RARE) == (0, 3, 0)


def test_one_line_without_stock_refuses_the_whole_reservation(stock):
    before = stock.books()
    reply = reserve(stock, line(CABLE, 1), line(RARE, 5))
    assert (reply.status_code, reply.content_type) == (409, "application/problem+json")
    assert reply.json["detail"] == "Product 789: 5 asked, 3 available"
    assert (reply.json["produit_id"], reply.json["demande"], reply.json["disponible"]) == ("789", 5, 3)
    assert (stock.books(), stock.states()) == (before, ["refused"])


def test_two_lines_whose_sum_exceeds_the_stock_are_refused(stock):
    assert reserve(stock, line(RARE, 2), line(RARE, 2)).json["demande"] == 4
    assert units(stock, RARE) == (3, 0, 0)


def test_an_unknown_product_is_refused_and_nothing_reserved(stock):
    reply = reserve(stock, line(CABLE, 1), line("nothing", 1))
    assert (reply.status_code, reply.json["produit_id"]) == (404, "nothing")
    assert units(stock, CABLE) == (1_000_000, 0, 0)


def test_release_uses_the_recorded_reservation_and_not_its_body(stock):
    done = reserve(stock, line(CABLE, 2), line(RARE, 3), key="s/reserver/do")
    reply = stock.post("/liberer", {"produits": [line(KEYBOARD, 9)]}, "s/reserver/undo")
    assert (reply.status_code, reply.json) == (200, done.json)
    assert [units(stock, each) for each in (CABLE, RARE)] == [(1_000_000, 0, 0), (3, 0, 0)]
    assert units(stock, KEYBOARD) == (500, 0, 0)


def test_confirming_sells_the_reserved_units_once(stock):
    reservation = {"reservation_id": reserve(stock, line(RARE, 2)).json["reservation_id"]}
    replies = [stock.post("/confirmer", reservation, key) for key in ("s/confirmer/do", "s/confirmer/do", "t/again/do")]
    assert {(reply.status_code, reply.json["etat"]) for reply in replies} == {(200, "vendue")}
    assert units(stock, RARE) == (1, 0, 2)


def test_sold_reservation_cannot_be_released(stock):
    reservation_id = reserve(stock, line(RARE, 2), key="s/reserver/do").json["reservation_id"]
    stock.post("/confirmer", {"reservation_id": reservation_id})
    assert stock.post("/liberer", {}, "s/reserver/undo").status_code == 409
    assert units(stock, RARE) == (1, 0, 2)


def test_released_reservation_cannot_be_sold(stock):
    reservation_id = reserve(stock, line(RARE, 2), key="s/reserver/do").json["reservation_id"]
    stock.post("/liberer", {}, "s/reserver/undo")
    assert stock.post("/confirmer", {"reservation_id": reservation_id}).status_code == 409
    assert units(stock, RARE) == (3, 0, 0)


def test_confirming_an_unknown_reservation_is_not_remembered(stock):
    reply = stock.post("/confirmer", {"reservation_id": "none"})
    assert (reply.status_code, reply.json["title"]) == (404, "Not reserved")
    assert stock.states() == []


def test_a_bad_body_is_refused_with_the_names_of_its_fields(stock):
    for lines, wrong in (
        ([line(CABLE, 0)], {"quantite"}),
        ([line(CABLE, 1.5)], {"quantite"}),
        ([line(True, 1)], {"produit_id"}),
        ([line("", 1)], {"produit_id"}),
        ([line("a\0", 1)], {"produit_id"}),
        ([line(CABLE, 1, 1.999)], {"prix"}),
        ([line(CABLE, 1, "1.99")], {"prix"}),
        ([{}], {"produit_id", "quantite"}),
    ):
        reply = reserve(stock, *lines)
        assert (reply.status_code, reply.json["title"]) == (400, "Invalid body")
        assert set(reply.json["errors"]["produits"]["0"]) == wrong


@pytest.mark.parametrize("body", [{}, {"produits": []}, {"produits": "none"}])
def test_a_reservation_of_nothing_is_refused(stock, body):
    reply = stock.post("/reserver", body)
    assert (reply.status_code, reply.json["detail"]) == (400, "Invalid: produits")
