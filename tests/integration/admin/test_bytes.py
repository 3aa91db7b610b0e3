"""The bytes of the pages: compressed for browsers that take it, and without characters that turn the text round."""

import gzip

import pytest
from flask import Response
from sqlalchemy import text

from app.access.unchanged import not_modified
from app.store.audit import Entry, record
from app.store.database import db

TURNED = "\u202eevil"


@pytest.mark.parametrize("path", ["/admin", "/admin/stuck", "/admin/audit", "/admin/sagas"])
def test_page_is_compressed_for_a_browser_that_takes_it(client, path):
    plain = client.get(path)
    packed = client.get(path, headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert len(packed.data) < len(plain.data) / 2
    assert gzip.decompress(packed.data).decode().partition("csrf_token")[0] == plain.text.partition("csrf_token")[0]


def test_page_is_not_compressed_for_a_browser_that_refuses(client):
    assert "Content-Encoding" not in client.get("/admin", headers={"Accept-Encoding": "gzip;q=0"}).headers


def test_start_data_cannot_turn_the_text_of_a_page_round(client, walk):
    items = [{"product_id": 456, "quantity": 2, "price": 29.99}]
    data = {"store_id": 1, "customer_id": 9, "items": items, "payment_method": TURNED, "amount": 59.98}
    page = client.get(f"/admin/sagas/{walk(definition='purchase_saga', **data).id}").text
    assert "\\u202eevil" in page.partition("Start data")[2]
    assert TURNED not in page.partition("Start data")[2]


def test_text_of_a_person_cannot_turn_the_text_of_a_page_round(client, walk):
    saga = walk("succeeded", "succeeded", "succeeded", "exhausted")
    db.session.execute(text("UPDATE journal SET reason = :words"), {"words": TURNED})
    db.session.commit()
    record(db.engine, Entry(actor="user:ada", action="test", reason=TURNED))
    for path in (f"/admin/sagas/{saga.id}", "/admin/audit", f"/admin/sagas?q={TURNED}"):
        page = client.get(path).text
        assert "\N{REPLACEMENT CHARACTER}evil" in page
        assert TURNED not in page


@pytest.mark.parametrize("path", ["/admin/audit", "/admin/sagas?status=stuck", "/api/v1/sagas", "/api/v1/sagas/{}"])
def test_reader_who_has_the_answer_already_gets_304_until_it_changes(client, walk, path):
    saga = walk("succeeded", "succeeded", "succeeded", "exhausted")
    path = path.format(saga.id)
    first = client.get(path)
    tag = {"If-None-Match": first.headers["ETag"], "Accept-Encoding": "gzip"}
    again = client.get(path, headers=tag)
    assert (first.status_code, again.status_code, again.data) == (200, 304, b"")
    client.post(f"/api/v1/sagas/{saga.id}/resolve", json={"reason": "recorded by hand"})
    assert client.get(path, headers=tag).status_code == 200


def test_change_has_no_etag(client, walk):
    saga = walk("succeeded")
    assert "ETag" not in client.post(f"/api/v1/sagas/{saga.id}/compensate").headers
    assert "ETag" not in client.get("/api/v1/sagas/nothing").headers


def test_token_of_a_form_is_no_change_of_a_page(client):
    form = '<input type="hidden" name="csrf_token" value="{}">'
    with client.application.test_request_context("/admin"):
        tags = {
            not_modified(Response(f"{form.format(token)}{word}")).headers["ETag"] for token in "ab" for word in "xy"
        }
    assert len(tags) == 2
