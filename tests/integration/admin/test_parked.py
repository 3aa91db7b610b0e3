"""The page of dead letters, and the events on the page of a saga."""

import json

import pytest

from app.access.permissions import Role
from app.access.principal import user
from app.services import services
from app.store.database import db
from app.store.dead_letters import DeadLetters
from machines.lines import LONGEST_WORDS
from tests.integration.admin.conftest import seen

ORDER = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 1}]}
EVENT = {"specversion": "1.0", "id": "1", "source": "/boutique", "type": "CommandeCreate", "data": ORDER}


@pytest.fixture
def parked(client):
    """Return a function that stores a dead letter and returns the path of its actions."""

    def park(**changed):
        DeadLetters(db.engine).add("/type: was not known yet", json.dumps(EVENT | changed).encode())
        return f"/admin/parked/{DeadLetters(db.engine).oldest()[-1].id}"

    return park


def left():
    return len(DeadLetters(db.engine).oldest())


def test_page_without_dead_letters_says_so(client):
    assert "No messages are parked." in seen(client.get("/admin/parked"))


def test_dead_letter_and_its_reason_are_escaped(client, parked):
    parked(source="<script>alert(1)</script>")
    answer = client.get("/admin/parked")
    assert "/type: was not known yet" in seen(answer)
    assert b"<script>alert" not in answer.data


def test_retried_dead_letter_redirects_to_its_saga(client, parked):
    answer = client.post(f"{parked()}/retry")
    assert answer.status_code == 303
    assert "CommandeCreate" not in answer.headers["Location"]
    assert "order_saga" in seen(client.get(answer.headers["Location"]))
    assert left() == 0


def test_unusable_dead_letter_stays_and_shows_why(client, parked):
    answer = client.post(f"{parked(data={})}/retry", follow_redirects=True)
    assert "Nothing was done: /data/" in seen(answer)
    assert left() == 1


def test_discard_needs_a_reason(client, parked):
    path = parked()
    assert client.post(f"{path}/discard", data={"reason": " "}).status_code == 400
    assert left() == 1
    assert client.post(f"{path}/discard", data={"reason": "sent again"}).status_code == 303
    assert left() == 0


def test_audit_page_shows_the_beginning_of_a_discarded_message(client, parked):
    client.post(f"{parked(source='x' * 50_000)}/discard", data={"reason": "sent again"})
    page = client.get("/admin/audit").text
    assert "body: {" in page.replace("&#34;", '"')
    assert "x" * LONGEST_WORDS not in page


def test_viewer_sees_no_buttons_and_changes_nothing(client, parked, monkeypatch):
    path = parked()
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("vera", Role.VIEWER))
    assert b'<form method="post" action="/admin/parked' not in client.get("/admin/parked").data
    assert client.post(f"{path}/discard", data={"reason": "because"}).status_code == 403
    assert left() == 1


def test_saga_page_shows_published_and_waiting_events(client, walk):
    saga = walk("succeeded", definition="order_saga", **ORDER)
    page = seen(client.get(f"/admin/sagas/{saga.id}"))
    assert "CommandeCreate waits for the broker" in page
    services(client.application).events.relay.publish_batch()
    assert "CommandeCreate published" in seen(client.get(f"/admin/sagas/{saga.id}"))
    assert saga.definition.events[saga.state] == "CommandeCreate"
