"""The links to other systems on the pages, and the release at their foot."""

import re
from html import unescape

import pytest

from app.config import from_environment
from app.link_settings import Link
from app.services import services
from app.settings import ConfigError
from app.views.links import links_of_participant, links_of_saga
from tests.integration.admin.conftest import SETTINGS, seen

LINKS = (
    "Trace=https://traces.example/{trace_id}, Order=https://shop.example/orders/{order}?by={client}, "
    "Logs=https://logs.example/?q={participant}%20{step}, Runbook=https://wiki.example/{participant}"
)


def read(text):
    return from_environment({"DATABASE_URL": "sqlite:///x.db", **SETTINGS, "LINKS": text}).links


def outs(page):
    return dict(re.findall(r'<a href="([^"]+)" rel="noreferrer external">([^<]+) ↗</a>', unescape(page.text)))


def test_each_page_has_the_links_whose_values_it_knows(client, walk):
    services().links = read(LINKS)
    saga = walk("succeeded")
    found = outs(client.get(f"/admin/sagas/{saga.id}"))
    assert found == {
        f"https://traces.example/{saga.id.hex}": "Trace",
        "https://logs.example/?q=panier%20lire_panier": "Logs",
        "https://wiki.example/panier": "Runbook",
    }, "the saga has no order number yet, so there is no link to the order"
    assert outs(client.get("/admin/participants"))["https://wiki.example/stock"] == "Runbook"


def test_values_are_encoded_so_they_cannot_change_the_address(walk):
    saga = walk("succeeded", client_id=4, magasin_id=1)
    (link,) = read("Client=https://shop.example/{client}/orders")
    saga.order_ref, saga.client, saga.parent_id = None, "a/../?b#c", None
    saga.definition = "checkout"
    assert links_of_saga([link], saga) == [("Client", "https://shop.example/a%2F..%2F%3Fb%23c/orders")]
    assert links_of_participant([link], "stock") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("https://traces.example/", "links such as Trace="),
        ("Trace=javascript:alert({saga_id})", "URL of http or https"),
        ("Trace=https://{client}/x", "must name its server"),
        ("Trace=https://traces.example/{saga}", "has {saga}; use one of saga_id"),
        ("=https://traces.example/", "links such as Trace="),
    ],
)
def test_an_illegal_link_is_refused_at_start_with_the_remedy(text, problem):
    with pytest.raises(ConfigError, match=re.escape(problem)):
        read(text)


def test_without_the_setting_there_are_no_links(client, walk):
    assert read("") == ()
    assert read("A=https://a.example/") == (Link(words="A", url="https://a.example/"),)
    assert outs(client.get(f"/admin/sagas/{walk('succeeded').id}")) == {}


def test_the_release_is_on_each_page_and_on_health(client):
    services().release = "3f2a8c9"
    assert "Release 3f2a8c9" in seen(client.get("/admin"))
    assert client.get("/health").get_json()["release"] == "3f2a8c9"
    assert from_environment({"DATABASE_URL": "sqlite:///x.db", **SETTINGS, "RELEASE": "3f2a8c9"}).release == "3f2a8c9"
    with pytest.raises(ConfigError, match="RELEASE must have at most 64"):
        from_environment({"DATABASE_URL": "sqlite:///x.db", **SETTINGS, "RELEASE": "x" * 65})
