import re
from uuid import uuid4

import pytest

from participants.ecommerce.orchestrator import Orchestrator
from participants.payloads import LARGEST_INTEGER
from tests.support.scripted_server import http, serving


def cart(neighbours, client_id=4):
    return neighbours["panier"].get(f"/{client_id}").json["produits"]


def test_the_shelf_shows_what_can_be_returned_with_its_stock_and_price(shop):
    text = shop.get("/").text
    assert re.findall(r'name="q(\w+)" value="(\d+)"', text) == [
        ("101", "1"), ("102", "0"), ("103", "0"), ("456", "2"), ("789", "0"),
    ]  # fmt: skip
    assert "49.90" in text
    assert "1,000,000 in stock" in text
    assert "kill it" in text


def test_client_is_listed_with_its_known_outcome(shop):
    assert 'name="q789" value="5"' in shop.get("/?client=1").text


def test_each_page_has_its_own_key(shop):
    first, second = (re.search('name="key" value="([^"]+)"', shop.get("/").text)[1] for _ in range(2))
    assert first != second


def test_while_the_orchestrator_is_away_the_basket_and_its_key_are_kept(shop, neighbours, form):
    reply = shop.post("/buy", data={**form, "q102": "7"})
    assert reply.status_code == 503
    assert 'name="q102" value="7"' in reply.text
    assert f'name="key" value="{form["key"]}"' in reply.text
    assert "The orchestrator does not answer. Nothing is lost: your basket is kept" in reply.text
    assert [(line["produit_id"], line["quantite"], line["prix"]) for line in cart(neighbours)] == [
        ("101", 1, 49.9), ("102", 7, 24.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"q101": "many"}, "Headphones: the quantity must be a whole number from 0 to 99"),
        ({"q101": "100"}, "Headphones: the quantity must be"),
        ({"q101": "-1"}, "Headphones: the quantity must be"),
        ({"q101": "1.5"}, "Headphones: the quantity must be"),
        ({"q101": "²"}, "Headphones: the quantity must be"),
        ({"q101": ""}, "The basket is empty"),
        ({"client": "17"}, "client: choose one of 4, 1, 2, 3"),
        ({"key": "x"}, "key: the form has lost its key"),
    ],
)
def test_a_mistake_is_a_page_that_names_the_field_and_changes_nothing(shop, neighbours, form, wrong, words):
    before = cart(neighbours)
    reply = shop.post("/buy", data=form | wrong)
    assert (reply.status_code, reply.mimetype) == (400, "text/html")
    assert words in reply.text
    assert cart(neighbours) == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/?client=<b>", 400),
        ("post", "/switches/catalogue", 404),
        ("post", "/switches/stock", 400),
        ("post", "/orders/11111111-1111-4111-8111-111111111111/return", 400),
    ],
)
def test_every_error_of_a_page_is_a_page(shop, method, path, status):
    reply = getattr(shop, method)(path)
    assert (reply.status_code, reply.mimetype) == (status, "text/html")
    assert "<b>&#39;" not in reply.text.replace("&lt;b&gt;", "")


def test_get_of_the_form_address_redirects_to_the_shop(shop):
    reply = shop.get("/buy")
    assert (reply.status_code, reply.headers["Location"]) == (303, "./")


def test_an_unknown_order_has_no_return(shop):
    assert shop.post(f"/orders/{uuid4()}/return", data={"key": str(uuid4())}).status_code == 404


def test_an_order_is_shown_while_the_orchestrator_is_away(shop):
    seen = shop.get(f"/orders/{uuid4()}/live").json
    assert (seen["away"], seen["ended"]) == (True, False)
    assert "The orchestrator does not answer" in seen["parts"]["now"]
    assert "calls" not in seen["parts"], "those that are in sight stay there"
    assert "The books agree" in seen["parts"]["ledgers"]
    assert shop.get("/orders").status_code == 200


@pytest.mark.parametrize("headers", [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://elsewhere.example"},
    {"Origin": "null"},
])  # fmt: skip
def test_a_write_from_another_site_is_refused(shop, neighbours, form, headers):
    before = cart(neighbours)
    assert shop.post("/buy", data=form, headers=headers).status_code == 403
    assert shop.post("/switches/stock", data={"mode": "down"}, headers=headers).status_code == 403
    assert (cart(neighbours), neighbours["stock"].get("/_faults").json) == (before, [])


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}, {}])
def test_write_from_the_shop_itself_is_accepted(shop, headers):
    assert shop.post("/switches/stock", data={"mode": "slow"}, headers=headers).status_code == 303


def test_policy_forbids_inline_and_foreign_scripts(shop):
    reply = shop.get("/")
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=|https?://", reply.text)


def test_cart_can_be_filled_again(neighbours):
    panier = neighbours["panier"]
    for client_id, quantite in ((4, 1), (4, 2), (4, 2), (LARGEST_INTEGER, 3)):
        body = {"produits": [{"produit_id": "456", "quantite": quantite, "prix": 29.99}]}
        reply = panier.app.test_client().put(f"/{client_id}", json=body)
        assert (reply.status_code, reply.json["montant"]) == (200, round(quantite * 29.99, 2))
    assert len(cart(neighbours, 4)) == 1
    assert panier.get("/5").json["montant"] == 59.97, "the ordinary cart is still everybody else's"


def test_diagram_keeps_its_characters():
    """The media type of SVG names no encoding."""
    picture = "<svg>a↻b a↻b </svg>"
    with serving() as server:
        server.answers.append(http(picture.encode(), headers="Content-Type: image/svg+xml\r\n"))
        assert Orchestrator(server.url, None).diagram(uuid4()) == picture
