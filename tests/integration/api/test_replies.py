"""Callbacks by the API: a participant answers at the URL that it got with the call."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.config import from_environment
from app.services import services
from app.settings import ConfigError
from app.store import queries
from app.store.database import db
from app.views.saga_json import whole_json
from machines.checkout import CHECKOUT
from tests.support.scripted_server import ScriptedServer, http
from tests.support.servers import OPEN
from tests.support.waiting import eventually

#: Folder of a table with a step that is answered later.
SAGAS = Path(__file__).parents[2] / "support" / "later_sagas"
PUBLIC = "https://sagas.example/saga"
PAID = {"payment": {"id": "p1", "state": "paid"}}


@pytest.fixture
def bank() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.answers += [http(b'{"payment": {}}', "202 Accepted")] * 3
    yield server
    server.close()


@pytest.fixture
def client(store_url: str, bank: ScriptedServer) -> Iterator[FlaskClient]:
    settings = {
        "DATABASE_URL": store_url, "SAGAS": str(SAGAS), "WAIT_S": "2", "PUBLIC_URL": PUBLIC,
        "PARTICIPANT_BANK_URL": bank.url, "API_AUTH": "on",
    }  # fmt: skip
    app = create_app(from_environment(OPEN | settings))
    with app.app_context():
        services(app).runner.tables.compare()
        yield app.test_client()
        services(app).runner.stop()
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def reply_to(client: FlaskClient, bank: ScriptedServer) -> str:
    """Start a saga that waits for its callback. Return the path of the callback."""
    started = services().sagas.start("sale", {"customer": "Ada"})
    assert (started.state, started.status) == ("AWAITING_PAY", "waiting")
    url = bank.headers()["saga-reply-to"]
    assert url.startswith(PUBLIC + "/api/v1/replies/")
    assert f'"notify":"{url}"'.encode() in bank.body()
    return url.removeprefix(PUBLIC)


def journal() -> list[Any]:
    return list(db.session.execute(db.text("SELECT * FROM journal WHERE step = 'pay' ORDER BY seq")).mappings())


def state() -> str:
    services().runner.claim_due()
    found: list[str] = []

    def moved() -> bool:
        db.session.rollback()
        found[:] = db.session.execute(db.text("SELECT state FROM saga")).scalars()
        return found[0] != "AWAITING_PAY"

    eventually(moved, "the saga moves")
    return found[0]


def test_a_callback_without_a_key_answers_the_step(client, reply_to):
    said = client.post(reply_to, json=PAID)
    assert (said.status_code, said.json["step"], said.json["outcome"]) == (200, "pay", "succeeded")
    assert state() == "PAID"
    assert journal()[-1]["reply"] is not None
    assert client.post(reply_to, json=PAID).status_code == 200
    assert [row["trigger"] for row in journal()] == ["accepted", "succeeded"]


def test_another_callback_after_the_first_is_a_conflict(client, reply_to):
    client.post(reply_to, json=PAID)
    other = client.post(reply_to, json={"payment": {"id": "p2"}})
    assert (other.status_code, other.content_type) == (409, "application/problem+json")
    assert "the first answer counts" in other.json["detail"]


def test_a_problem_document_refuses_with_its_status(client, reply_to):
    said = client.post(
        reply_to, data='{"status": 409, "detail": "no cover"}', headers={"Content-Type": "application/problem+json"}
    )
    assert (said.status_code, said.json["outcome"]) == (200, "refused")
    assert state() == "CALLED_OFF"
    assert client.post(reply_to, json=PAID).status_code == 409


@pytest.mark.parametrize("status", ['"409"', "200", "700", "true", "null"])
def test_a_problem_document_without_a_legal_status_is_refused_by_name(client, reply_to, status):
    headers = {"Content-Type": "application/problem+json"}
    said = client.post(reply_to, data=f'{{"status": {status}}}', headers=headers)
    assert (said.status_code, said.json["errors"][0]["pointer"]) == (400, "/status")


def test_a_callback_that_leaves_the_outcome_open_is_202_and_no_move(client, reply_to):
    said = client.post(reply_to, json={"payment": {"id": "p1", "state": "pending"}})
    assert (said.status_code, said.json["outcome"]) == (202, None)
    assert len(journal()) == 1


def test_a_callback_that_lacks_a_kept_field_names_it(client, reply_to):
    said = client.post(reply_to, json={"payment": {"state": "paid"}})
    assert (said.status_code, said.json["errors"]) == (400, [{"pointer": "/payment/id", "detail": "Missing."}])


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("<paid/>", {"Content-Type": "text/xml"}, 415),
        ("{", {"Content-Type": "application/json"}, 400),
        ('{"payment": {"id": "\\u0000"}}', {"Content-Type": "application/json"}, 400),
        ("[" * 200 + "]" * 200, {"Content-Type": "application/json"}, 400),
        ('"' + "x" * 300_000 + '"', {"Content-Type": "application/json"}, 413),
    ],
)
def test_a_body_that_cannot_be_kept_is_refused(client, reply_to, body, headers, status):
    assert client.post(reply_to, data=body, headers=headers).status_code == status


def test_a_wrong_token_is_not_found_whatever_the_body_is(client, reply_to):
    for path in (reply_to[:-1], reply_to + "x", reply_to[:-1] + ("B" if reply_to[-1] == "A" else "A")):
        assert client.post(path, json=PAID).status_code == 404
    saga = reply_to.split("/")[4]
    other = reply_to.replace(saga, saga[:-1] + ("0" if saga[-1] != "0" else "1"))
    assert client.post(other, json=PAID).status_code == 404
    assert client.post(reply_to.replace("/pay/", "/p%C3%A4y/"), json=PAID).status_code == 404
    assert client.post(reply_to.rpartition("/")[0] + "/%C3%A4", json=PAID).status_code == 404


def test_a_get_changes_nothing(client, reply_to):
    assert client.get(reply_to).status_code == 405


def test_a_cookie_gives_no_permission_and_needs_no_csrf_token(client, reply_to):
    client.set_cookie("__Host-saga", "made up")
    headers = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post(reply_to[:-2], json=PAID, headers=headers).status_code == 404
    assert client.post(reply_to, json=PAID, headers=headers).status_code == 200


def shown(reply_to: str) -> dict[str, Any]:
    """Return the saga as the API shows it."""
    row = queries.find(UUID(reply_to.split("/")[4]))
    assert row is not None
    return whole_json(services().registry, row, queries.journal(row.id))


def test_the_url_stands_in_no_journal_and_no_log_line(client, reply_to, capsys):
    client.post(reply_to, json=PAID)
    assert state() == "PAID"
    token = reply_to.rpartition("/")[2]
    whole = shown(reply_to)
    assert token not in str(whole)
    assert whole["steps"][0]["input_data"] == {"customer": "Ada", "notify": "***"}
    assert token not in capsys.readouterr().out


def test_the_api_says_what_is_waited_for_and_until_when(client, reply_to):
    whole = shown(reply_to)
    assert (whole["status"], whole["waiting_for"]) == ("waiting", "callback, 1 h at most")
    assert whole["waiting_until"] > whole["updated_at"]
    assert (whole["steps"][0]["status"], whole["steps"][0]["attempts"]) == ("in_progress", 1)


@pytest.mark.parametrize("missing", ["PUBLIC_URL", "SECRET_KEY"])
def test_a_table_with_callbacks_is_refused_at_the_start_without_the_setting(store_url, missing):
    settings = {"DATABASE_URL": store_url, "SAGAS": str(SAGAS), "PUBLIC_URL": PUBLIC} | OPEN
    del settings[missing]
    with pytest.raises(ConfigError, match=f"{missing} is not set, and step pay of sale v1 is answered by a callback"):
        create_app(from_environment(settings))


@pytest.mark.parametrize("url", ["sagas.example", "https://a:b@sagas.example", "https://sagas.example?x=y", "ftp://x"])
def test_a_public_url_that_is_none_is_refused(url):
    with pytest.raises(ConfigError, match="PUBLIC_URL must"):
        from_environment({"PUBLIC_URL": url})


def test_a_public_url_ends_without_a_slash():
    assert from_environment({"PUBLIC_URL": "https://sagas.example/"}).public_url == "https://sagas.example"
    assert from_environment({"PUBLIC_URL": ""}).public_url is None


def test_a_table_without_callbacks_needs_no_public_url():
    assert not any(step.later for step in CHECKOUT.steps)
