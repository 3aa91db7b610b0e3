"""Retention: a tree of sagas is exported, archived and deleted as a whole, or stays as a whole."""

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app.cli.group import saga
from app.store import retention
from app.store.database import db
from tests.support.applications import settle

LONG_AGO = "UPDATE saga SET created_at = '2000-01-01', updated_at = '2000-01-01'"


def children(client: FlaskClient, parent: str) -> list[str]:
    return [child["id"] for child in client.get(f"/api/v1/sagas/{parent}").json["children"]]


def answer(client: FlaskClient, saga_id: str, name: str, *, yes: bool = True) -> None:
    assert client.post(f"/api/v1/sagas/{saga_id}/signals/{name}", json={"approved": yes}).status_code == 202


def meeting(client: FlaskClient, *, guests: int = 3, yes: bool = True) -> str:
    """Return the id of a meeting that has ended: a together, of which one branch has an each."""
    body = {"guests": [{"name": f"Guest {number}"} for number in range(guests)]}
    whole = client.post("/api/v1/sagas/meeting", json=body).json["id"]
    settle()
    of_guests, rent = children(client, whole)
    for guest in children(client, of_guests):
        answer(client, guest, "invite")
    answer(client, rent, "rent", yes=yes)
    settle()
    if yes:
        answer(client, whole, "fix")
        settle()
    return whole


def execute(statement: str) -> None:
    db.session.execute(text(statement))
    db.session.commit()


def count(table: str) -> int:
    return db.session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


def run(app, *arguments: str) -> str:
    return app.test_cli_runner().invoke(saga, arguments, catch_exceptions=False).stdout


def first_lines(written: str) -> list[dict]:
    """Return the first line of each saga, in the order of the file."""
    lines = [json.loads(line) for line in written.splitlines()]
    return [line for line in lines if line["source"] is None]


def is_whole(written: str) -> bool:
    """Return True when each child stands behind its parent, in the same tree."""
    above: dict[str, str] = {}
    trees: list[str] = []
    for line in first_lines(written):
        parent = line.get("parent")
        assert parent is None or parent["id"] in above, line["saga"]
        above[line["saga_id"]] = above[parent["id"]] if parent else line["saga_id"]
        trees.append(above[line["saga_id"]])
    return len([one for one, next_one in zip(["", *trees], trees, strict=False) if one != next_one]) == len(set(trees))


@pytest.mark.parametrize("yes", [True, False], ids=["completed", "compensated"])
def test_a_tree_is_archived_and_deleted_as_a_whole(app, client, tmp_path: Path, yes):
    first, second = meeting(client, yes=yes), meeting(client, guests=2, yes=yes)
    execute(LONG_AGO)
    archive = tmp_path / "archive.jsonl"
    assert run(app, "prune", "--days", "1", "--dry-run") == "2 would be deleted\n"
    assert run(app, "prune", "--days", "1", "--archive", str(archive)) == "11 deleted\n"
    assert (count("saga"), count("journal")) == (0, 0)
    lines = first_lines(archive.read_text())
    assert len(lines) == 11
    assert {line["saga_id"] for line in lines if "parent" not in line} == {first, second}
    assert is_whole(archive.read_text())


def test_an_export_has_each_tree_as_a_whole_and_each_saga_once(app, client, monkeypatch):
    for guests in (3, 1, 2):
        meeting(client, guests=guests)
    execute(
        "UPDATE saga SET created_at = '2026-01-01 00:00:00.000000'"
    )  # one commit starts a saga and its children at one time
    monkeypatch.setattr("app.cli.retention.BATCH", 2)
    written = run(app, "export")
    ids = [line["saga_id"] for line in first_lines(written)]
    assert (len(ids), len(set(ids))) == (count("saga"), count("saga"))
    assert is_whole(written)


@pytest.mark.parametrize("limit", [1, 2])
def test_the_limit_of_prune_counts_no_children(app, client, limit):
    for _ in range(3):
        meeting(client, guests=1)
    execute(LONG_AGO)
    assert run(app, "prune", "--days", "1", "--limit", str(limit)) == f"{4 * limit} deleted\n"
    assert count("saga") == 4 * (3 - limit)


@pytest.mark.parametrize("status", ["running", "waiting", "compensating", "stuck", "pending"])
def test_a_tree_stays_while_a_child_far_below_has_not_ended(client, status):
    meeting(client)
    execute(LONG_AGO)
    execute(
        f"UPDATE saga SET status = '{status}' WHERE definition = 'meeting.prepare.guests.invite' AND child_number = 2"
    )
    assert retention.ended_before(1, 10) == []
    execute("UPDATE saga SET status = 'completed' WHERE child_number = 2")
    assert len(retention.ended_before(1, 10)) == 1


def test_a_tree_stays_while_a_child_far_below_has_an_event_or_a_message_to_send(client):
    meeting(client)
    execute(LONG_AGO)
    execute("DELETE FROM outbox")
    assert len(retention.ended_before(1, 10)) == 1
    invited = "FROM saga WHERE definition = 'meeting.prepare.guests.invite' AND child_number = 2"
    columns = "saga_id, seq, event, webhook, url, at, attempts, due_at"
    for send in (
        f"INSERT INTO outbox (saga_id, seq, at) SELECT id, 2, updated_at {invited}",
        f"INSERT INTO webhook_delivery ({columns}) SELECT id, 2, 'e', 'shop', '', updated_at, 0, updated_at {invited}",
    ):
        execute(send)
        assert retention.ended_before(1, 10) == []
        execute("DELETE FROM outbox")
        execute("DELETE FROM webhook_delivery")
    assert len(retention.ended_before(1, 10)) == 1
