import pytest

ACTION = ("/reserver", {"produits": [{"produit_id": "456", "quantite": 1}]})


def turn(shop, name, mode):
    reply = shop.post(f"/switches/{name}", data={"mode": mode}, headers={"Accept": "application/json"})
    assert reply.status_code == 200
    return reply.json["parts"]["switches"]


@pytest.mark.parametrize("mode", ["slow", "refuse", "lose", "down", "normal"])
def test_a_switch_shows_the_position_it_was_turned_to(shop, mode):
    panel = turn(shop, "stock", mode)
    assert f'id="switch-stock-{mode}" name="mode" value="{mode}" aria-pressed="true"' in panel
    assert panel.count('aria-pressed="true"') == 4


@pytest.mark.parametrize(
    ("back", "action"),
    [
        ("", "switches/ventes"),
        ("orders", "switches/ventes"),
        ("11111111-1111-4111-8111-111111111111", "../switches/ventes"),
    ],
)
def test_rendered_panel_links_to_its_own_page(shop, back, action):
    form = {"mode": "slow", "back": back}
    panel = shop.post("/switches/stock", data=form, headers={"Accept": "application/json"}).json["parts"]["switches"]
    assert f'action="{action}"' in panel


def test_all_switches_can_be_turned_at_once(shop):
    assert turn(shop, "all", "down").count('value="down" aria-pressed="true"') == 4
    assert turn(shop, "all", "normal").count('value="normal" aria-pressed="true"') == 4


def test_refusing_participant_changes_nothing_and_still_undoes(shop, neighbours):
    stock = neighbours["stock"]
    assert stock.post(*ACTION, "before/reserver/do").status_code == 201
    turn(shop, "stock", "refuse")
    refused = stock.post(*ACTION, "after/reserver/do")
    assert (refused.status_code, refused.json["title"]) == (409, "Simulated refusal")
    assert stock.post("/liberer", {}, "before/reserver/undo").status_code == 200
    assert stock.books()["produits"]["456"]["reserve"] == 0


def test_lost_reply_happens_once_and_the_call_has_its_effect(shop, neighbours):
    stock = neighbours["stock"]
    turn(shop, "stock", "lose")
    lost = stock.post(*ACTION, "a/reserver/do")
    assert lost.data == b'{"'
    assert stock.books()["produits"]["456"]["reserve"] == 1
    assert stock.post(*ACTION, "a/reserver/do").headers["Idempotent-Replayed"] == "true"


def test_read_of_the_stock_does_not_use_the_lost_reply(shop, neighbours):
    turn(shop, "stock", "lose")
    assert neighbours["stock"].get("/produits").status_code == 200
    assert neighbours["stock"].post(*ACTION).data == b'{"'


def test_a_cart_that_is_down_can_still_be_filled_by_the_shop(shop, neighbours, form):
    turn(shop, "panier", "down")
    assert neighbours["panier"].get("/4").status_code == 503
    shop.post("/buy", data=form)
    turn(shop, "panier", "normal")
    assert [line["produit_id"] for line in neighbours["panier"].get("/4").json["produits"]] == ["101"]


def test_a_switch_leads_back_to_its_own_page_and_nowhere_else(shop):
    order = "11111111-1111-4111-8111-111111111111"
    for back, where in {"": "../", "orders": "../orders", order: f"../orders/{order}", "//evil.example": "../"}.items():
        reply = shop.post("/switches/stock", data={"mode": "normal", "back": back})
        assert (reply.status_code, reply.headers["Location"]) == (303, where)


def test_without_faults_there_are_no_switches(shop, serve, tmp_path, neighbours):
    text = shop.get("/").text
    assert text.count("<fieldset>") == 4
    neighbours["stock"].app.view_functions["_faults.listed"] = lambda: ({}, 404)
    assert "start them with" in shop.get("/").text
