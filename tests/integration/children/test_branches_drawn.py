"""The diagram of a saga with branches: the position of every branch is in the one picture of the saga."""

import re
from uuid import UUID, uuid4
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import make_transient

from app.store.database import db
from app.store.models import SagaRow
from tests.support.applications import settle

SVG = "{http://www.w3.org/2000/svg}"


def started(client: FlaskClient, guests: int) -> str:
    body = {"guests": [{"name": f"Guest {number}"} for number in range(guests)]}
    answered = client.post("/api/v1/sagas/meeting", json=body)
    settle()
    return answered.json["id"]


def branches(client: FlaskClient, parent: str) -> list[str]:
    return [child["id"] for child in client.get(f"/api/v1/sagas/{parent}").json["children"]]


def answer(client: FlaskClient, saga_id: str, name: str, *, yes: bool = True) -> None:
    assert client.post(f"/api/v1/sagas/{saga_id}/signals/{name}", json={"approved": yes}).status_code == 202
    settle()


def words(client: FlaskClient, saga_id: str) -> list[str]:
    """Return the texts of the saga's diagram."""
    picture = client.get(f"/api/v1/sagas/{saga_id}/diagram.svg").data
    return [each.text or "" for each in ET.fromstring(picture).iter(f"{SVG}text")]


def make_stuck(saga_id: str) -> None:
    stuck = text("UPDATE saga SET status = 'stuck', state = 'STUCK_INVITE', due_at = NULL WHERE id = :id")
    db.session.execute(stuck, {"id": saga_id if db.engine.name == "postgresql" else saga_id.replace("-", "")})
    db.session.commit()


def test_the_picture_of_the_parent_counts_the_items_at_each_step(client):
    meeting = started(client, 5)
    invites = branches(client, branches(client, meeting)[0])
    for invite in invites[:3]:
        answer(client, invite, "invite")
    make_stuck(invites[3])
    seen = words(client, meeting)
    assert "0 of 2 done" in seen
    assert "3 of 5 done, 1 stuck" in seen
    assert "◆ 1 stuck, 1 here" in seen or "◆ 1 here, 1 stuck" in seen
    assert seen.count("under way") == 2, "the two branches of the meeting"


def test_the_picture_shows_a_branch_that_is_done_and_one_that_is_undone(client):
    meeting = started(client, 1)
    guests, rent = branches(client, meeting)
    answer(client, branches(client, guests)[0], "invite")
    assert "done" in words(client, meeting)
    answer(client, rent, "rent", yes=False)
    seen = words(client, meeting)
    assert "0 of 2 done, 2 undone" in seen
    assert "undone" in seen


def test_the_page_loads_the_picture_again_when_only_a_branch_has_moved(client):
    meeting = started(client, 2)

    def picture() -> str:
        return re.search(r'src="([^"]+diagram.svg[^"]*)"', client.get(f"/admin/sagas/{meeting}").text)[1]

    before = picture()
    assert picture() == before
    answer(client, branches(client, branches(client, meeting)[0])[0], "invite")
    assert picture() != before


@pytest.mark.parametrize("moves", [0, 1])
def test_the_picture_names_the_state_of_another_saga_that_a_step_has_started(client, moves):
    trip = client.post("/api/v1/sagas/trip", json={"person": "Ada"}).json["id"]
    settle()
    if moves:
        (child,) = branches(client, trip)
        client.post(f"/api/v1/sagas/{child}/signals/agree", json={"days": 3})
        settle()
    assert f"leave: {'TAKEN' if moves else 'ASKED'}" in words(client, trip)


def test_a_branch_that_a_retry_has_replaced_is_not_counted(client):
    meeting = started(client, 1)
    rent = db.session.get(SagaRow, UUID(branches(client, meeting)[1]))
    assert rent.moves is not None  # a deferred column: the copy needs it
    db.session.expunge(rent)
    make_transient(rent)
    rent.id, rent.idempotency_key, rent.child_number = uuid4(), "the retry", rent.child_number + 2
    undone = "UPDATE saga SET status = 'compensated', state = 'RENT_UNDONE', updated_at = created_at"
    db.session.execute(text(f"{undone} WHERE definition = 'meeting.prepare.rent'"))
    assert "0 of 2 done, 1 undone" in words(client, meeting)
    db.session.add(rent)
    db.session.commit()
    seen = words(client, meeting)
    assert "0 of 2 done" in seen
    assert "undone" not in seen
