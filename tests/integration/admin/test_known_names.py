"""A filter with a name that nothing has is refused everywhere with the names that exist, instead of finding nothing."""

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import update

from app.store.database import db
from app.store.models import SagaRow, SagaTableRow

STUCK = ("succeeded", "succeeded", "succeeded", "exhausted")
#: Word, a name that nothing has, and what the answer says.
UNKNOWN = [
    ("type", "chekout", "No saga has the type 'chekout'; the types are checkout, commande,"),
    ("state", "CONFIRME", "No table has the state 'CONFIRME'; the states are "),
    ("participant", "stok", "No table calls the participant 'stok'; they call "),
    ("waiting_for", "stok", "No table calls the participant 'stok'; they call "),
]
STEP = ("step", "payr", "No table has the step 'payr'; the steps are ")


@pytest.fixture
def line(client):
    """Return a function that runs a command and returns its exit code and its message."""

    def run(*arguments):
        done = FlaskCliRunner(client.application).invoke(args=["saga", *arguments])
        return done.exit_code, done.stderr

    return run


@pytest.mark.parametrize(("word", "name", "says"), UNKNOWN)
def test_every_list_refuses_a_name_that_nothing_has(client, line, word, name, says):
    api = client.get("/api/v1/sagas", query_string={word: name})
    assert (api.status_code, api.mimetype, api.json["errors"][0]["pointer"]) == (
        400,
        "application/problem+json",
        f"/{word}",
    )
    assert api.json["errors"][0]["detail"].startswith(says)
    for path in ("/admin/sagas", "/admin/stuck"):
        page = client.get(path, query_string={word: name})
        assert (page.status_code, name in page.text) == (400, True)
    option = f"--{word.replace('_', '-')}"
    for command in (["list"], ["stuck"], ["tail", "--once"], ["bulk", "start", "retry", "--dry-run"]):
        code, message = line(*command, option, name)
        assert (code, says in message) == (2, True), (command, message)


def test_step_that_no_table_has_is_refused(client, line):
    word, name, says = STEP
    body = {"action": "retry", "reason": "x", "dry_run": True, "filter": {word: name}}
    answer = client.post("/api/v1/bulk", json=body)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (400, "/filter/step")
    assert answer.json["errors"][0]["detail"].startswith(says)
    no_text = client.post("/api/v1/bulk", json=body | {"filter": {word: 5}})
    assert (no_text.status_code, no_text.json["errors"][0]["detail"]) == (400, "Not a valid string.")
    assert client.get("/admin/stuck", query_string={word: name}).status_code == 400
    code, message = line("stuck", "--step", name)
    assert (code, says in message) == (2, True)


def test_one_unknown_type_of_several_is_named(client):
    page = client.get("/admin/sagas?type=checkout,chekout")
    assert page.status_code == 400
    assert "chekout" in page.text
    assert client.get("/admin/sagas?type=checkout,commande&state=CONFIRMEE,ANNULEE").status_code == 200


@pytest.mark.parametrize("status", ["stuck", "completed"])
def test_type_and_state_that_only_an_old_saga_has_are_known(client, line, walk, status):
    old = walk("succeeded")
    values = {"definition": "old_order", "state": "OLD_STATE", "status": status}
    db.session.execute(update(SagaRow).where(SagaRow.id == old.id).values(values))
    db.session.commit()
    for query in ({"type": "old_order"}, {"state": "OLD_STATE"}):
        answer = client.get("/api/v1/sagas", query_string=query)
        assert [each["id"] for each in answer.json["sagas"]] == [str(old.id)], query
    assert line("list", "--type", "old_order")[0] == 0


def test_type_of_a_recorded_table_is_known_and_named(client):
    row = {"definition": "older_order", "definition_version": 1, "digest": "x", "content": "{}", "recorded_by": "test"}
    db.session.add(SagaTableRow(**row, recorded_at=db.func.now()))
    db.session.commit()
    assert client.get("/api/v1/sagas?type=older_order").json["sagas"] == []
    refused = client.get("/api/v1/sagas?type=oldest_order").json["errors"][0]["detail"]
    assert "older_order" in refused
