"""The pages of the definitions, and the start page of the service."""

import re
from html import unescape

import pytest

from app.errors import BusyError
from machines.discovery import discover
from tests.integration.admin.conftest import seen


def test_each_state_of_the_diagram_leads_to_its_sagas(client, walk):
    saga = walk("succeeded")
    page = client.get("/admin/definitions/checkout")
    assert "/diagrams/checkout/heat.svg?window=1h&amp;version=1" in page.text
    links = {m[1]: unescape(m[0]) for m in re.findall(r'<a href="([^"]+)" aria-label="(\w+), \d+ now"', page.text)}
    assert links.keys() == discover().latest("checkout").states.keys()
    assert f'aria-label="{saga.state}, 1 now"' in page.text
    listed = client.get(links[saga.state])
    assert listed.status_code == 200
    assert str(saga.id)[-8:] in seen(listed)
    other = next(state for state in links if state != saga.state)
    assert str(saga.id)[-8:] not in seen(client.get(links[other]))


def test_the_page_says_when_the_figures_take_too_long(client, monkeypatch):
    def busy(*_):
        raise BusyError("these figures take longer than 5 s; choose a shorter window")

    monkeypatch.setattr("app.admin.definitions.figures_of", busy)
    page = client.get("/admin/definitions/checkout?window=7d")
    assert page.status_code == 200
    assert "The diagram has no figures: these figures take longer than 5 s; choose a shorter window." in seen(page)
    assert "/diagrams/checkout.svg?version=1" in page.text


def test_versions_are_compared_inside_the_console(client):
    page = client.get("/admin/definitions/purchase_saga?against=1")
    assert "What differs from v1" in seen(page)
    (drawing,) = re.findall(r'<img src="(/diagrams[^"]+)"', page.text)
    assert client.get(unescape(drawing)).mimetype == "image/svg+xml"


def test_the_list_has_each_table_and_the_number_of_its_sagas(client, walk):
    walk("succeeded")
    page = client.get("/admin/definitions")
    assert [name for name in discover().names if f"/admin/definitions/{name}" not in page.text] == []
    under_way = "type=checkout&amp;status=running,compensating,waiting,pending&amp;children=true"
    assert f'{under_way}">1</a>' in page.text.replace("%2C", ",")


@pytest.mark.parametrize(
    ("path", "status"), [("nothing", 404), ("checkout?version=77", 404), ("checkout?window=1y", 400)]
)
def test_an_unknown_table_version_or_window_is_refused(client, path, status):
    assert client.get(f"/admin/definitions/{path}").status_code == status


def test_the_start_page_has_a_door_to_everything_for_anybody(client, monkeypatch):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: None)
    page = client.get("/")
    assert page.status_code == 200
    doors = re.findall(r'<li><a href="([^"]+)"><b>', page.text)
    assert doors == ["/admin", "/admin/definitions", "/api-docs", "/openapi.json", "/ready", "/metrics"]
    assert [door for door in doors if client.get(door).status_code not in {200, 303}] == []
