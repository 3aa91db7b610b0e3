"""Signals by the API. A sender names the saga by its id or by its business reference."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from app import create_app
from app.access.permissions import Role, Scope
from app.access.principal import key, user
from app.config import from_environment
from app.store.access_models import AuditRow
from app.store.database import db
from app.store.models import SagaRow
from tests.support.applications import opened
from tests.support.servers import OPEN

DATA = {"person": "Ada", "number": "L-7"}

#: Folder of a table whose sagas only wait.
SAGAS = Path(__file__).parents[2] / "support" / "waiting_sagas"


@pytest.fixture
def client(store_url: str) -> Iterator[FlaskClient]:
    settings = {"DATABASE_URL": store_url, "SAGAS": str(SAGAS), "WAIT_S": "0.1"}
    app = create_app(from_environment(OPEN | settings))
    with opened(app):
        yield app.test_client()


@pytest.fixture
def leave(client: FlaskClient) -> str:
    """Return the path of a saga that waits for an approval."""
    started = client.post("/api/v1/sagas/leave", json=DATA)
    assert (started.status_code, started.json["status"], started.json["state"]) == (202, "waiting", "ASKED")
    return f"/api/v1/sagas/{started.json['id']}"


def send(client: FlaskClient, path: str, name: str, body: Any = None, **headers: str) -> Any:
    return client.post(f"{path}/signals/{name}", json=body, headers=headers)


def test_signals_lead_a_saga_to_its_end(client, leave):
    agreed = send(client, leave, "agree", {"approved": True})
    assert (agreed.status_code, agreed.json["state"], agreed.json["status"]) == (202, "AGREED", "waiting")
    assert agreed.headers["Location"] == leave
    planned = send(client, leave, "plan", {"days": 3, "how": "paid"})
    assert (planned.json["state"], planned.json["status"]) == ("TAKEN", "completed")
    steps = client.get(leave).json["steps"]
    assert [step["output_data"] for step in steps] == [{"approved": True}, {"days": 3, "how": "paid"}]
    assert [step["attempts"] for step in steps] == [0, 0]


def test_the_command_line_sends_a_signal(client, leave):
    def sent(*arguments: str) -> Any:
        return client.application.test_cli_runner().invoke(
            args=["saga", "signal", leave.rpartition("/")[2], *arguments]
        )

    refused = sent("agree", "approved=perhaps")
    assert (refused.exit_code, client.get(leave).json["state"]) == (2, "ASKED")
    assert "approved" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    agreed = sent("agree", "approved=true", "--actor", "ada")
    assert "AGREED" in agreed.output
    assert client.get(leave).json["state"] == "AGREED"


def test_the_metrics_count_a_waiting_saga_in_its_state(client, leave):
    lines = client.get("/metrics").get_data(as_text=True).splitlines()
    counted = [line for line in lines if line.startswith("saga_current{") and not line.endswith(" 0.0")]
    assert counted == ['saga_current{saga="leave",state="ASKED"} 1.0']


def test_a_signal_finds_the_saga_by_its_number(client, leave):
    agreed = send(client, "/api/v1/sagas/leave/L-7", "agree", {"approved": True})
    assert agreed.headers["Location"] == leave
    assert send(client, "/api/v1/sagas/leave/L-8", "agree", {"approved": True}).status_code == 404


def test_a_number_of_another_programs_saga_finds_none(client, leave, monkeypatch):
    monkeypatch.setattr("app.api.signals.principal", lambda: key("shop", ["start:own", "operate"]))
    assert send(client, "/api/v1/sagas/leave/L-7", "agree", {"approved": True}).status_code == 404
    assert client.get(leave).json["state"] == "ASKED"


def test_a_number_names_a_programs_own_saga_among_those_of_others(client, leave, monkeypatch):
    client.post("/api/v1/sagas/leave", json=DATA)
    own_id = client.post("/api/v1/sagas/leave", json=DATA).json["id"]
    db.session.get_one(SagaRow, UUID(own_id)).started_by = "key:shop"
    db.session.commit()
    monkeypatch.setattr("app.api.signals.principal", lambda: key("shop", ["start:own", "operate"]))
    agreed = send(client, "/api/v1/sagas/leave/L-7", "agree", {"approved": True})
    assert (agreed.status_code, agreed.headers["Location"]) == (202, f"/api/v1/sagas/{own_id}")
    assert client.get(leave).json["state"] == "ASKED"


def test_a_number_of_several_unfinished_sagas_names_none(client, leave):
    client.post("/api/v1/sagas/leave", json=DATA)
    answer = send(client, "/api/v1/sagas/leave/L-7", "agree", {"approved": True})
    assert answer.status_code == 409
    assert "use the id of the saga" in answer.json["detail"]


@pytest.mark.parametrize(
    ("name", "body", "pointer"),
    [
        ("agree", {}, "/approved"),
        ("agree", {"approved": "yes"}, "/approved"),
        ("agree", {"approved": True, "other": 1}, "/other"),
        ("plan", {"days": 31, "how": "paid"}, "/days"),
        ("plan", {"days": 3, "how": "later"}, "/how"),
    ],
)
def test_a_wrong_body_names_the_field_and_leaves_the_saga_waiting(client, leave, name, body, pointer):
    answer = send(client, leave, name, body)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert client.get(leave).json["state"] == "ASKED"


def test_a_signal_without_a_body_is_checked_too(client, leave):
    assert client.post(f"{leave}/signals/agree").json["errors"][0]["pointer"] == "/approved"


def test_the_problem_names_the_signals_that_exist(client, leave):
    answer = send(client, leave, "agreed", {})
    assert answer.status_code == 404
    assert answer.json["detail"] == "leave v1 waits for no signal agreed; it waits for agree, plan"
    assert send(client, "/api/v1/sagas/2f1b8c36-3f6c-4f2f-8f52-1b7a2f6f0a55", "agree", {}).status_code == 404


def test_a_repeated_key_is_one_signal_and_its_other_body_is_refused(client, leave):
    for _ in range(2):
        sent = send(client, leave, "agree", {"approved": True}, **{"Idempotency-Key": "k"})
        assert (sent.status_code, sent.json["state"]) == (202, "AGREED")
    assert send(client, leave, "agree", {"approved": False}, **{"Idempotency-Key": "k"}).status_code == 422
    assert send(client, leave, "agree", {"approved": False}).status_code == 409


def test_a_refusal_ends_the_saga_and_later_signals_are_too_late(client, leave):
    assert send(client, leave, "agree", {"approved": False, "comment": "no"}).json["status"] == "compensated"
    late = send(client, leave, "plan", {"days": 3, "how": "paid"})
    assert late.status_code == 409
    assert "it has ended in NOT_TAKEN" in late.json["detail"]


def test_an_approval_needs_its_role(client, leave, monkeypatch):
    for sender, status in ((key("shop", frozenset({Scope.START})), 403), (key("office", frozenset(Scope)), 202)):
        monkeypatch.setattr("app.api.signals.principal", lambda sender=sender: sender)
        assert send(client, leave, "agree", {"approved": True}).status_code == status


def test_a_persons_signal_stands_in_the_audit_trail_and_a_programs_does_not(client, leave, monkeypatch):
    monkeypatch.setattr("app.api.signals.principal", lambda: user("eve", Role.OPERATOR))
    send(client, leave, "agree", {"approved": True})
    monkeypatch.setattr("app.api.signals.principal", lambda: key("shop", frozenset({Scope.START})))
    send(client, leave, "plan", {"days": 3, "how": "paid"})
    (row,) = db.session.query(AuditRow).all()
    assert (row.actor, row.action, row.after) == (
        "user:eve", "saga.signal", {"signal": "agree", "body": {"approved": True}},
    )  # fmt: skip


def test_a_waiting_saga_is_found_by_its_status(client, leave):
    assert [saga["status"] for saga in client.get("/api/v1/sagas?status=waiting").json["sagas"]] == ["waiting"]
    assert client.get("/api/v1/sagas?status=in_progress").json["sagas"] == []


def test_a_repeated_start_of_a_waiting_saga_shows_the_saga(client):
    first, again = (
        client.post("/api/v1/sagas/leave", json=DATA, headers={"Idempotency-Key": "start"}) for _ in range(2)
    )
    assert (again.status_code, again.json) == (202, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_signal_that_only_another_release_can_check_is_to_be_sent_again(client, leave):
    db.session.execute(update(SagaRow).values(definition_version=77))
    db.session.commit()
    answer = send(client, leave, "agree", {"approved": True})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "send it again" in answer.json["detail"]
