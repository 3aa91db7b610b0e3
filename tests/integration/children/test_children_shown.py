"""A parent and its child as the API, the pages, the command line, the diagrams and the retention see them."""

import re
from collections.abc import Iterator
from html import unescape
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app import create_app
from app.cli.group import saga
from app.config import from_environment
from app.services import services
from app.store import retention
from app.store.database import db
from tests.integration.admin.conftest import seen
from tests.integration.children.conftest import SAGAS
from tests.support.applications import settle


@pytest.fixture
def trip(client: FlaskClient) -> str:
    """Return the id of a trip whose leave has not been agreed to."""
    started = client.post("/api/v1/sagas/trip", json={"person": "Ada"})
    assert (started.status_code, started.json["status"], started.json["state"]) == (202, "waiting", "PLANNED")
    settle()
    return started.json["id"]


def child_of(client: FlaskClient, trip: str) -> dict[str, object]:
    (child,) = client.get(f"/api/v1/sagas/{trip}").json["children"]
    return child


def agree(client: FlaskClient, trip: str) -> None:
    path = f"/api/v1/sagas/{child_of(client, trip)['id']}/signals/agree"
    assert client.post(path, json={"days": 3}).status_code == 202
    settle()


def test_the_api_shows_the_child_of_a_saga_and_the_parent_of_a_child(client, trip):
    child = child_of(client, trip)
    assert {name: child[name] for name in child if name != "id"} == {
        "type": "leave", "step": "leave", "number": 1, "status": "waiting", "state": "ASKED", "stuck": False,
    }  # fmt: skip
    whole = client.get(f"/api/v1/sagas/{child['id']}").json
    assert whole["parent"] == {"id": trip, "step": "leave", "number": 1}
    assert whole["data"] == {"person": "Ada"}
    parent = client.get(f"/api/v1/sagas/{trip}").json
    assert (parent["parent"], parent["waiting_for"]) == (None, "saga leave")


def test_the_end_of_the_child_continues_the_parent_with_its_result(client, trip):
    agree(client, trip)
    whole = client.get(f"/api/v1/sagas/{trip}").json
    assert (whole["state"], whole["steps"][0]["output_data"]) == ("FREE", {"days": 3})


def test_a_list_shows_roots_and_with_parent_the_children(client, trip):
    assert [each["id"] for each in client.get("/api/v1/sagas").json["sagas"]] == [trip]
    child = child_of(client, trip)["id"]
    assert [each["id"] for each in client.get(f"/api/v1/sagas?parent={trip}").json["sagas"]] == [child]
    assert client.get("/api/v1/sagas?parent=one").status_code == 400
    assert str(child)[-8:] not in client.get("/admin/sagas").text
    link = re.search(r'href="(/admin/sagas\?type=leave[^"]*)"', client.get(f"/admin/sagas/{child}").text)
    assert str(child)[-8:] in client.get(unescape(link[1])).text
    assert str(child)[-8:] in client.get(f"/admin/sagas?parent={trip}").text


def test_the_list_of_stuck_sagas_has_a_stuck_child(client, trip):
    db.session.execute(text("UPDATE saga SET status = 'stuck', state = 'STUCK_AGREE' WHERE parent_id IS NOT NULL"))
    db.session.commit()
    child = child_of(client, trip)
    assert child["stuck"] is True
    assert [each["id"] for each in client.get("/api/v1/sagas?stuck=true").json["sagas"]] == [child["id"]]
    assert "0 of 1 completed, 1 stuck" in seen(client.get(f"/admin/sagas/{trip}"))


@pytest.mark.parametrize("moves", [0, 1, 2, 3])
def test_the_pages_and_the_diagrams_of_a_parent_can_be_seen_in_every_state(client, trip, moves):
    if moves >= 1:
        agree(client, trip)
    if moves == 2:
        client.post(f"/api/v1/sagas/{trip}/signals/book", json={"approved": True})
        settle()
    if moves == 3:
        client.post(f"/api/v1/sagas/{trip}/compensate", json={"reason": "ill"})
        settle()
        assert client.get(f"/api/v1/sagas/{trip}").json["state"] == "DROPPED"
        assert child_of(client, trip)["state"] == "NOT_TAKEN"
    child = child_of(client, trip)["id"]
    words = seen(client.get(f"/admin/sagas/{trip}"))
    assert "Started sagas" in words
    assert f"/admin/sagas/{trip}" in client.get(f"/admin/sagas/{child}").text
    assert client.get(f"/api/v1/sagas/{trip}/diagram.svg").status_code == 200
    for kind in ("svg", "md", "mmd", "puml", "dot"):
        assert client.get(f"/diagrams/trip.{kind}").status_code == 200, kind
    assert client.get("/api/v1/definitions").status_code == 200
    assert client.get("/metrics").status_code == 200


def test_the_command_line_draws_the_tree(app, client, trip):
    child = child_of(client, trip)["id"]
    drawn = app.test_cli_runner().invoke(saga, ["show", trip, "--tree"], catch_exceptions=False)
    assert drawn.output.split("\n")[:2] == [
        f"trip {trip} waiting PLANNED",
        f"└ leave: leave {child} waiting ASKED",
    ]
    shown = app.test_cli_runner().invoke(saga, ["show", trip], catch_exceptions=False)
    assert shown.exit_code == 0
    assert child not in app.test_cli_runner().invoke(saga, ["list", "--json"]).output
    assert child in app.test_cli_runner().invoke(saga, ["list", "--json", "--parent", trip]).output


def test_a_tree_is_pruned_as_a_whole_and_never_under_its_parent(client, trip):
    agree(client, trip)
    client.post(f"/api/v1/sagas/{trip}/signals/book", json={"approved": True})
    settle()
    db.session.execute(text("UPDATE saga SET created_at = '2000-01-01', updated_at = '2000-01-01 00:00:00.000000'"))
    db.session.commit()
    found = retention.ended_before(1, 1)
    assert [row.definition for rows in retention.trees(found, 10) for row in rows] == ["trip", "leave"]
    db.session.execute(text("UPDATE saga SET status = 'compensating' WHERE definition = 'trip'"))
    db.session.commit()
    ids = [row.id for row in found]
    assert retention.delete_ended(ids) == 0
    db.session.execute(text("UPDATE saga SET status = 'completed' WHERE definition = 'trip'"))
    db.session.commit()
    assert retention.delete_ended(ids[:1]) == 2
    assert db.session.execute(text("SELECT count(*) FROM saga")).scalar_one() == 0


class Program:
    """A program with an API key."""

    def __init__(self, app: Flask, name: str, *grants: str, tenant: str = "") -> None:
        secret = services(app).api_keys.make(name, grants, 30, "cli:test", tenant=tenant).secret
        self.client = app.test_client()
        self.headers = {"X-API-Key": secret}

    def get(self, path: str):
        return self.client.get(path, headers=self.headers)

    def listed(self, query: str = "") -> list[str]:
        return [each["id"] for each in self.get(f"/api/v1/sagas{query}").json["sagas"]]

    def shown(self, saga_id: str) -> dict[str, object]:
        return self.get(f"/api/v1/sagas/{saga_id}").json


@pytest.fixture
def keyed(store_url: str) -> Iterator[Flask]:
    """The service with API keys, and without the open context of `app`, which requests would share."""
    settings = {"DATABASE_URL": store_url, "SAGAS": str(SAGAS), "WAIT_S": "0.1", "SECRET_KEY": "0" * 32}
    app = create_app(from_environment(settings))
    yield app
    services(app).runner.stop()
    with app.app_context():
        db.engine.dispose()


def started_by(app: Flask, shop: Program) -> tuple[str, str]:
    """Let a program start a trip. Return the ids of the trip and of its child."""
    started = shop.client.post("/api/v1/sagas/trip", json={"person": "Ada"}, headers=shop.headers)
    with app.app_context():
        settle()
        child = db.session.execute(text("SELECT id FROM saga WHERE parent_id IS NOT NULL")).scalar_one()
    return started.json["id"], str(UUID(str(child)))


def test_a_key_for_its_own_sagas_sees_the_whole_tree(keyed):
    shop, other = Program(keyed, "shop", "read:own", "start"), Program(keyed, "other", "read:own", "start")
    trip, child = started_by(keyed, shop)
    assert [each["id"] for each in shop.shown(trip)["children"]] == [child]
    assert shop.shown(child)["parent"]["id"] == trip
    assert shop.shown(child)["started_by"] == "key:shop"
    assert (shop.listed(), shop.listed(f"?parent={trip}")) == ([trip], [child])
    assert (other.listed(), other.listed(f"?parent={trip}")) == ([], [])
    assert other.get(f"/api/v1/sagas/{child}").status_code == 404


def test_a_tenant_sees_the_whole_tree_and_another_tenant_nothing_of_it(keyed):
    shop, other = (Program(keyed, name, "read", "start", tenant=name) for name in ("acme", "other"))
    trip, child = started_by(keyed, shop)
    assert [each["id"] for each in shop.shown(trip)["children"]] == [child]
    assert shop.listed(f"?parent={trip}") == [child]
    assert (other.listed(), other.listed(f"?parent={trip}")) == ([], [])
    assert other.get(f"/api/v1/sagas/{child}").status_code == 404


def test_a_key_sees_no_parent_and_no_child_that_it_may_not_read(keyed):
    shop = Program(keyed, "shop", "read", "start")
    trip, child = started_by(keyed, shop)
    of_trips, of_leaves = Program(keyed, "trips", "read:trip"), Program(keyed, "leaves", "read:leave")
    assert of_trips.shown(trip)["children"] == []
    assert of_trips.listed(f"?parent={trip}") == []
    assert of_leaves.shown(child)["parent"] is None
    assert of_leaves.listed(f"?parent={trip}") == []
    line = of_leaves.get("/api/v1/sagas").json["sagas"][0]
    assert line["parent"] is None
    assert of_leaves.listed() == [child], "a child without a parent that the key may read is no part of a tree to it"
    assert of_leaves.get(f"/api/v1/sagas/{trip}").status_code == 404
    assert [each["id"] for each in shop.shown(trip)["children"]] == [child]


def test_a_key_for_a_type_sees_and_moves_the_branches_of_its_table(keyed):
    shop = Program(keyed, "shop", "read", "start")
    guests = {"guests": [{"name": "Bob"}]}
    meeting = shop.client.post("/api/v1/sagas/meeting", json=guests, headers=shop.headers).json["id"]
    with keyed.app_context():
        settle()
    whole = shop.shown(meeting)
    rent = next(each["id"] for each in whole["children"] if each["type"] == "meeting.prepare.rent")
    host = Program(keyed, "host", "read:meeting", "start:meeting", "operate:meeting")
    other = Program(keyed, "other", "read:trip", "start")
    assert host.shown(meeting)["children"] == whole["children"]
    assert (host.listed(), set(host.listed(f"?parent={meeting}"))) == ([meeting], {i["id"] for i in whole["children"]})
    assert host.shown(rent)["parent"]["id"] == meeting
    assert (
        host.get(f"/api/v1/sagas/{meeting}/diagram.svg").text == shop.get(f"/api/v1/sagas/{meeting}/diagram.svg").text
    )
    signalled = host.client.post(f"/api/v1/sagas/{rent}/signals/rent", json={"approved": True}, headers=host.headers)
    assert signalled.status_code == 202, signalled.text
    assert (other.listed(), other.listed(f"?parent={meeting}")) == ([], [])
    of_rent = "?type=meeting.prepare.rent"
    assert (host.listed(of_rent), shop.listed(of_rent), other.listed(of_rent)) == ([rent], [rent], [])
    assert other.get(f"/api/v1/sagas/{rent}").status_code == 404


def test_a_type_whose_name_only_begins_alike_is_another_type(keyed):
    shop = Program(keyed, "shop", "read", "start")
    trip, _ = started_by(keyed, shop)
    with keyed.app_context():
        db.session.execute(text("UPDATE saga SET definition = 'trip_abroad' WHERE parent_id IS NULL"))
        db.session.commit()
    of_trips = Program(keyed, "trips", "read:trip")
    assert of_trips.listed() == []
    assert of_trips.get(f"/api/v1/sagas/{trip}").status_code == 404


def metric(client: FlaskClient, name: str, **labels: str) -> float | None:
    """Return the value of a series; None when there is none."""
    for line in client.get("/metrics").text.splitlines():
        head, _, value = line.rpartition(" ")
        if head.startswith(f"{name}{{") and all(f'{label}="{words}"' in head for label, words in labels.items()):
            return float(value)
    return None


def test_children_are_counted_apart_and_are_no_orders(client, trip):
    for status in ("started", "completed", "compensated", "stuck"):
        assert metric(client, "saga_children_total", saga="leave", status=status) is not None
        assert metric(client, "saga_children_total", saga="meeting.prepare.rent", status=status) is not None
        assert metric(client, "saga_total", saga="meeting.prepare.rent", status=status) is None
    orders, children = (
        metric(client, "saga_total", saga="leave", status="completed"),
        metric(client, "saga_children_total", saga="leave", status="completed"),
    )
    timed = metric(client, "saga_duration_seconds_count", type="leave", etat_final="TAKEN")
    agree(client, trip)
    assert metric(client, "saga_children_total", saga="leave", status="completed") == children + 1
    assert metric(client, "saga_total", saga="leave", status="completed") == orders
    assert metric(client, "saga_duration_seconds_count", type="leave", etat_final="TAKEN") == timed
    assert metric(client, "saga_total", saga="trip", status="started") == 1
