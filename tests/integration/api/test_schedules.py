"""Schedules by the API and by the command line: add, list, pause, resume, remove, and what is refused."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from app.services import services
from app.store.access_models import AuditRow
from app.store.database import db

CART = {"client_id": 4, "magasin_id": 1}
NIGHTLY = {"name": "nightly", "type": "checkout", "data": CART, "cron": "0 3 * * *", "zone": "Europe/Paris"}
PATH = "/api/v1/schedules"


def add(client, **changed):
    return client.post(PATH, json=NIGHTLY | changed)


def actions():
    return [(row.actor, row.action, row.target) for row in db.session.query(AuditRow).order_by(AuditRow.seq)]


def test_a_schedule_is_added_shown_paused_resumed_and_removed(client):
    made = add(client)
    assert (made.status_code, made.headers["Location"]) == (201, f"{PATH}/nightly")
    next_at = datetime.fromisoformat(made.json["next_at"])
    assert next_at > datetime.now(UTC)
    assert made.json | {"next_at": None, "created_at": None} == NIGHTLY | {
        "overlap": "skip", "paused": False, "next_at": None, "last_at": None, "last_result": None,
        "last_saga_id": None, "created_at": None, "created_by": "api",
    }  # fmt: skip
    assert client.get(PATH).json["schedules"] == [client.get(f"{PATH}/nightly").json]
    paused = client.post(f"{PATH}/nightly/pause").json
    assert (paused["paused"], paused["next_at"]) == (True, None)
    assert client.post(f"{PATH}/nightly/pause").status_code == 409
    assert client.post(f"{PATH}/nightly/resume").json["next_at"] == made.json["next_at"]
    assert client.delete(f"{PATH}/nightly").json == {"message": "Schedule removed"}
    assert client.get(f"{PATH}/nightly").status_code == 404
    named = [("api", f"schedule.{action}", "nightly") for action in ("add", "pause", "resume", "remove")]
    assert actions() == named
    (added, *_) = db.session.query(AuditRow).order_by(AuditRow.seq)
    assert (added.after["cron"], added.after["data"]) == ("0 3 * * *", CART)


@pytest.mark.parametrize(
    ("changed", "pointer", "detail"),
    [
        ({"name": "a b"}, "/name", "Not a name of letters, digits, underscores and hyphens."),
        ({"name": "a\n"}, "/name", "Not a name of letters, digits, underscores and hyphens."),
        ({"type": "nothing"}, "/type", "Not a type; use one of "),
        ({"data": {"client_id": 4}}, "/data/magasin_id", "Missing data for required field."),
        ({"cron": "0 3 * *"}, "/cron", "Not five fields"),
        ({"zone": "Paris"}, "/zone", "'Paris' is no time zone; use a name such as Europe/Paris or UTC."),
        ({"overlap": "maybe"}, "/overlap", "Must be one of: skip, allow."),
        ({"every": "day"}, "/every", "Unknown field."),
    ],
)
def test_a_wrong_schedule_is_refused_by_field(client, changed, pointer, detail):
    answer = add(client, **changed)
    assert answer.status_code == 400
    (error,) = answer.json["errors"]
    assert error["pointer"] == pointer
    assert error["detail"].startswith(detail)
    assert client.get(PATH).json == {"schedules": []}


def test_a_taken_name_and_an_unknown_name_are_refused(client):
    add(client)
    assert add(client).json["detail"] == "there is a schedule nightly already; remove it first"
    for method, path in (("post", "pause"), ("post", "resume"), ("delete", "")):
        answer = getattr(client, method)(f"{PATH}/weekly/{path}".rstrip("/"))
        assert (answer.status_code, answer.json["detail"]) == (404, "there is no schedule weekly")


def test_a_secret_of_the_data_is_not_shown(client, monkeypatch):
    class Secrets:
        def shown_data(self, data):
            return data | {"client_id": "***"}

    monkeypatch.setattr(services(client.application).registry.__class__, "secrets_of", lambda *_: Secrets())
    assert add(client).json["data"] == CART | {"client_id": "***"}
    assert db.session.query(AuditRow).one().after["data"] == CART | {"client_id": "***"}


def test_a_schedule_is_changed_and_the_audit_row_has_both_values(client):
    add(client)
    changed = client.patch(f"{PATH}/nightly", json={"cron": "30 4 * * *", "overlap": "allow"})
    assert changed.status_code == 200
    assert (changed.json["cron"], changed.json["overlap"], changed.json["zone"]) == (
        "30 4 * * *",
        "allow",
        "Europe/Paris",
    )
    (row,) = db.session.query(AuditRow).filter_by(action="schedule.change")
    assert (row.before, row.after) == (
        {"cron": "0 3 * * *", "overlap": "skip"},
        {"cron": "30 4 * * *", "overlap": "allow"},
    )
    again = client.patch(f"{PATH}/nightly", json={"cron": "30 4 * * *", "overlap": "allow"})
    assert again.json == changed.json, "a repeated change is the same schedule"


@pytest.mark.parametrize(
    ("changed", "pointer", "detail"),
    [
        ({}, "", "Nothing to change; give data, cron, zone, overlap."),
        ({"cron": "0 3 * *"}, "/cron", "Not five fields"),
        ({"zone": "Paris"}, "/zone", "'Paris' is no time zone"),
        ({"data": {"client_id": 4}}, "/data/magasin_id", "Missing data for required field."),
        ({"type": "commande"}, "/type", "Unknown field."),
        ({"name": "weekly"}, "/name", "Unknown field."),
    ],
)
def test_a_wrong_change_is_refused_by_field(client, changed, pointer, detail):
    before = add(client).json
    refused = client.patch(f"{PATH}/nightly", json=changed)
    (error,) = refused.json["errors"]
    assert (refused.status_code, error["pointer"]) == (400, pointer)
    assert error["detail"].startswith(detail)
    assert client.get(f"{PATH}/nightly").json == before
    assert client.patch(f"{PATH}/weekly", json={"cron": "0 3 * * *"}).status_code == 404


def test_secret_data_of_a_change_is_in_no_answer_and_no_audit_row(client, monkeypatch):
    add(client)
    monkeypatch.setattr(
        type(services(client.application).registry), "secrets_of",
        lambda _registry, _name: SimpleNamespace(shown_data=lambda _data: {"client_id": "***"}),
    )  # fmt: skip
    shown = client.patch(f"{PATH}/nightly", json={"data": CART | {"client_id": 7}})
    assert shown.json["data"] == {"client_id": "***"}
    (row,) = db.session.query(AuditRow).filter_by(action="schedule.change")
    assert (row.before, row.after) == ({"data": {"client_id": "***"}}, {"data": {"client_id": "***"}})


def saga(client, *arguments):
    done = client.application.test_cli_runner().invoke(args=["saga", "schedule", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_line_does_the_same(client):
    given = ("add", "nightly", "0 3 * * *", "checkout", "client_id=4", "magasin_id=1", "--zone", "Europe/Paris")
    code, said, _ = saga(client, *given)
    assert (code, said.startswith("nightly starts its first checkout at ")) == (0, True)
    _, listed, _ = saga(client, "list", "--json")
    assert json.loads(listed) == client.get(f"{PATH}/nightly").json
    assert "nightly  checkout  0 3 * * *  Europe/Paris" in saga(client, "list")[1]
    code, said, _ = saga(client, "change", "nightly", "client_id=7", "magasin_id=1", "--cron", "0 4 * * *")
    assert (code, said.startswith("nightly is changed. Its next time is ")) == (0, True)
    shown = client.get(f"{PATH}/nightly").json
    assert (shown["data"], shown["cron"]) == (CART | {"client_id": 7}, "0 4 * * *")
    assert saga(client, "pause", "nightly")[:2] == (0, "nightly is paused.\n")
    assert "paused" in saga(client, "list")[1]
    assert saga(client, "resume", "nightly")[0] == 0
    assert saga(client, "remove", "nightly")[:2] == (0, "nightly is removed.\n")
    assert saga(client, "list")[1] == "There are no schedules.\n"
    assert [action for _, action, _ in actions()] == [
        f"schedule.{it}" for it in ("add", "change", "pause", "resume", "remove")
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("add", "n", "0 3 * *", "checkout", "client_id=4", "magasin_id=1"), 2, "saga: cron: Not five fields"),
        (("add", "n", "0 3 * * *", "checkout", "client_id=4"), 2, "saga: magasin_id: Missing data for required field."),
        (("add", "n", "0 3 * * *", "nothing"), 2, "saga: TYPE: there is no saga 'nothing'; take one of"),
        (("change", "weekly", "--zone", "UTC"), 6, "saga: there is no schedule weekly\n"),
        (("remove", "weekly"), 6, "saga: there is no schedule weekly\n"),
        (("pause", "weekly"), 6, "saga: there is no schedule weekly\n"),
    ],
)
def test_a_wrong_command_is_one_line(client, arguments, code, error):
    found, _, said = saga(client, *arguments)
    assert (found, said.count("\n")) == (code, 1)
    assert said.startswith(error)


def test_the_service_starts_what_is_due(client, begun):
    add(client, cron="* * * * *")
    db.session.execute(db.text("UPDATE schedule SET next_at = '2020-01-01 00:00:00.000000'"))
    db.session.commit()
    services(client.application).runner.tables.compare()
    services(client.application).runner._beat()
    assert begun() == 1
    assert client.get(f"{PATH}/nightly").json["last_result"] == "started"
