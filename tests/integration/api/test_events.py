import json

import pytest
from sqlalchemy import text

from app.events.event_threads import EventThreads
from app.services import services
from app.store.database import db
from app.store.dead_letters import LARGEST_BODY, LONGEST_TEXT, DeadLetters

ORDER = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 1}]}
EVENT = {"specversion": "1.0", "id": "1", "source": "/boutique", "type": "CommandeCreate", "data": ORDER}


@pytest.fixture
def parked(client):
    """Return a function that stores a dead letter and returns its id."""

    def park(**changed):
        DeadLetters(db.engine).add("/type: was not known yet", json.dumps(EVENT | changed).encode())
        return client.get("/api/v1/events/parked").json["parked"][-1]["id"]

    return park


def numbers(client):
    return [entry["id"] for entry in client.get("/api/v1/events/parked").json["parked"]]


def test_events_of_a_saga_show_which_are_published(client):
    created = client.post("/api/v1/sagas", json={"type": "order_saga", "data": ORDER}).json["saga"]["id"]
    assert client.get(f"/api/v1/sagas/{created}/events").json == {"events": []}
    client.post(f"/api/v1/sagas/{created}/compensate")
    failed, cancelled = client.get(f"/api/v1/sagas/{created}/events").json["events"]
    assert (failed["type"], cancelled["type"]) == ("CommandeFail", "CommandeCancel")
    assert (failed["id"], cancelled["id"]) == (f"{created}/2", f"{created}/3")
    assert failed["published"] is cancelled["published"] is False
    services(client.application).events.relay.publish_batch()
    events = client.get(f"/api/v1/sagas/{created}/events").json["events"]
    assert [event["published"] for event in events] == [True, True]


def test_an_unknown_saga_has_no_events(client):
    answer = client.get("/api/v1/sagas/00000000-0000-0000-0000-000000000000/events")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_dead_letter_shows_its_reason_and_text(client, parked):
    parked()
    (entry,) = client.get("/api/v1/events/parked").json["parked"]
    assert entry["reason"] == "/type: was not known yet"
    assert json.loads(entry["body"]) == EVENT


def test_list_of_dead_letters_is_cut_before_it_fills_the_memory(client):
    letters = DeadLetters(db.engine)
    for _ in range(LONGEST_TEXT // LARGEST_BODY + 2):
        letters.add("long", b"x" * LARGEST_BODY)
    assert len(numbers(client)) == LONGEST_TEXT // LARGEST_BODY
    with db.engine.connect() as connection:
        longer = text("UPDATE parked SET body = :body WHERE id = (SELECT min(id) FROM parked)")
        connection.execute(longer, {"body": "x" * (LONGEST_TEXT + 1)})  # an earlier release stored any length
    assert len(numbers(client)) == 1


def test_retried_dead_letter_starts_its_saga(client, parked, begun):
    answer = client.post(f"/api/v1/events/parked/{parked()}/retry")
    assert answer.status_code == 200
    assert answer.headers["Location"] == f"/api/v1/sagas/{answer.json['saga_id']}"
    assert (begun(), numbers(client)) == (1, [])


def test_unusable_dead_letter_stays_and_says_why(client, parked, begun):
    number = parked(data={})
    answer = client.post(f"/api/v1/events/parked/{number}/retry")
    assert answer.status_code == 400
    assert answer.json["errors"][0]["pointer"].startswith("/data/")
    assert (begun(), numbers(client)) == (0, [number])


def test_retried_dead_letter_starts_no_second_saga(client, parked, begun):
    client.post(f"/api/v1/events/parked/{parked()}/retry")
    again = parked()
    assert client.post(f"/api/v1/events/parked/{again}/retry").status_code == 409
    assert (begun(), numbers(client)) == (1, [again])


def test_discarded_dead_letter_is_in_the_audit_trail(client, parked, begun):
    number = parked(id="77")
    assert client.post(f"/api/v1/events/parked/{number}/discard", json={"reason": "sent again"}).status_code == 200
    assert (begun(), numbers(client)) == (0, [])
    (row,) = db.session.execute(text("SELECT action, target, reason, before FROM audit WHERE action = 'event.discard'"))
    assert row[:3] == ("event.discard", f"parked/{number}", "sent again")
    assert "boutique" in str(row.before)


@pytest.mark.parametrize("move", ["retry", "discard"])
def test_unknown_dead_letter_is_not_found(client, move):
    assert client.post(f"/api/v1/events/parked/7/{move}").status_code == 404


def test_event_threads_publish_and_receive(client):
    threads: EventThreads = services(client.application).events
    assert threads.intake.event_types == ["CommandeCreate"]
