"""A saga with branches as the API, the pages, the command line, the diagrams and the metrics see it."""

from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app.cli.group import saga
from app.store.database import db
from tests.integration.admin.conftest import seen
from tests.support.applications import settle


@pytest.fixture
def meeting(client: FlaskClient) -> str:
    """Return the id of a meeting whose two guests and whose landlord have not answered."""
    started = client.post("/api/v1/sagas/meeting", json={"guests": [{"name": "Bob"}, {"name": "Eve"}]})
    assert (started.status_code, started.json["status"]) == (202, "waiting")
    settle()
    return started.json["id"]


def children(client: FlaskClient, parent: str) -> dict[str, str]:
    """Return type and number → id of the children of a saga."""
    found = client.get(f"/api/v1/sagas/{parent}").json["children"]
    return {f"{child['type']} {child['number']}": child["id"] for child in found}


def answer(client: FlaskClient, saga_id: str, name: str, *, yes: bool) -> None:
    body = {"approved": yes}
    assert client.post(f"/api/v1/sagas/{saga_id}/signals/{name}", json=body).status_code == 202
    settle()


def test_the_api_shows_the_branches_and_how_many_of_them_are_done(client, meeting):
    branches = children(client, meeting)
    assert list(branches) == ["meeting.prepare.guests 1", "meeting.prepare.rent 2"]
    assert client.get(f"/api/v1/sagas/{meeting}").json["waiting_for"] == "the branches of prepare: 0 of 2 done"
    guests = children(client, branches["meeting.prepare.guests 1"])
    assert list(guests) == ["meeting.prepare.guests.invite 1", "meeting.prepare.guests.invite 2"]
    item = client.get(f"/api/v1/sagas/{guests['meeting.prepare.guests.invite 2']}").json
    assert item["data"] == {"item": {"name": "Eve"}, "index": 1}
    answer(client, branches["meeting.prepare.rent 2"], "rent", yes=True)
    assert client.get(f"/api/v1/sagas/{meeting}").json["waiting_for"] == "the branches of prepare: 1 of 2 done"


def test_the_meeting_goes_on_after_all_branches(client, meeting):
    branches = children(client, meeting)
    for number in (1, 2):
        guest = children(client, branches["meeting.prepare.guests 1"])[f"meeting.prepare.guests.invite {number}"]
        answer(client, guest, "invite", yes=True)
    answer(client, branches["meeting.prepare.rent 2"], "rent", yes=True)
    assert client.get(f"/api/v1/sagas/{meeting}").json["state"] == "PREPARED"


def test_a_stuck_branch_is_seen_at_its_parent(client, meeting):
    branch = children(client, meeting)["meeting.prepare.rent 2"]
    of_rent = "definition = 'meeting.prepare.rent'"
    db.session.execute(text(f"UPDATE saga SET status = 'stuck', state = 'STUCK_RENT', due_at = NULL WHERE {of_rent}"))
    db.session.commit()
    words = "the branches of prepare: 0 of 2 done, 1 stuck"
    assert client.get(f"/api/v1/sagas/{meeting}").json["waiting_for"] == words
    assert "0 of 2 completed, 1 stuck" in seen(client.get(f"/admin/sagas/{meeting}"))
    assert [each["id"] for each in client.get("/api/v1/sagas?stuck=true").json["sagas"]] == [branch]
    said = "1 stuck saga that other sagas have started is not on this list."
    pages = [client.get(f"/admin/sagas{query}") for query in ("", "?status=stuck", "?status=running")]
    assert [said in seen(page) for page in pages] == [True, False, False]
    assert [f"/admin/sagas/{branch}" in page.text for page in pages] == [False, True, False]
    assert 'href="/admin/sagas?status=stuck"' in pages[0].text


def test_a_parent_counts_the_branches_that_go_back_and_those_that_are_undone(client, meeting):
    for name, status in (("rent", "compensating"), ("guests", "compensated")):
        db.session.execute(text(f"UPDATE saga SET status = '{status}' WHERE definition = 'meeting.prepare.{name}'"))
    db.session.commit()
    assert "0 of 2 completed, 1 going back, 1 undone" in seen(client.get(f"/admin/sagas/{meeting}"))


def test_a_filter_by_the_table_of_a_branch_finds_its_sagas(app, client, meeting):
    branches, name = children(client, meeting), "meeting.prepare.rent"
    rent = branches[f"{name} 2"]
    found = client.get(f"/api/v1/sagas?type={name}").json
    assert ([each["id"] for each in found["sagas"]], found["pagination"]["total"]) == ([rent], 1)
    assert [each["id"] for each in client.get("/api/v1/sagas?type=meeting").json["sagas"]] == [meeting]
    listed = app.test_cli_runner().invoke(saga, ["list", "--json", "--type", name]).output
    assert listed.count("\n") == 1
    assert rent in listed
    page = client.get(f"/admin/sagas?type={name}").text
    assert f"/admin/sagas/{rent}" in page
    assert page.count('data-is="State"') == 1, "the meeting is named as the parent, it has no row"
    assert f'href="/admin/sagas?type={name}"' in client.get(f"/admin/sagas/{rent}").text
    for path in ("/admin/sagas", "/admin/stuck"):
        assert f'<option value="{name}">{name}</option>' in client.get(path).text, path


def test_children_are_shown_with_number_and_item_the_stuck_ones_first(app, client, meeting, monkeypatch):
    guests = children(client, meeting)["meeting.prepare.guests 1"]
    eve = children(client, guests)["meeting.prepare.guests.invite 2"]
    db.session.execute(
        text("UPDATE saga SET status = 'stuck', state = 'STUCK_INVITE', due_at = NULL WHERE id = :eve"),
        {"eve": eve if db.engine.dialect.name == "postgresql" else UUID(eve).hex},
    )
    db.session.commit()
    words = seen(client.get(f"/admin/sagas/{guests}"))
    assert words.index("name Eve") < words.index("name Bob")
    assert words.index("invite[1]") < words.index("invite[0]")
    listed = seen(client.get(f"/admin/sagas?parent={guests}"))
    assert "invite[1] name Eve" in listed
    assert "All 2 started sagas" not in words
    monkeypatch.setattr("app.admin.saga._CHILDREN", 1)
    cut = client.get(f"/admin/sagas/{guests}")
    assert "0 of 2 completed, 1 stuck" in seen(cut)
    assert "invite[0]" not in seen(cut)
    assert f'<a href="/admin/sagas?parent={guests}">All 2 started sagas</a>' in cut.text
    lines = client.get(f"/api/v1/sagas?parent={guests}&sort=created_at").json["sagas"]
    assert {line["id"]: line["parent"] for line in lines}[eve] == {"id": guests, "step": "invite", "number": 2}
    assert client.get("/api/v1/sagas").json["sagas"][0]["parent"] is None
    drawn = app.test_cli_runner().invoke(saga, ["list", "--parent", guests]).output
    assert "invite[1]: meeting" in drawn


@pytest.mark.parametrize("refused", [False, True])
def test_the_pages_and_the_diagrams_can_be_seen(client, meeting, refused):
    branches = children(client, meeting)
    if refused:
        answer(client, branches["meeting.prepare.rent 2"], "rent", yes=False)
        assert client.get(f"/api/v1/sagas/{meeting}").json["state"] == "CALLED_OFF"
    assert "Started sagas" in seen(client.get(f"/admin/sagas/{meeting}"))
    for each in (meeting, *branches.values()):
        assert client.get(f"/admin/sagas/{each}").status_code == 200
        assert client.get(f"/api/v1/sagas/{each}/diagram.svg").status_code == 200
    for name in ("meeting", "meeting.prepare.guests", "meeting.prepare.guests.invite"):
        for kind in ("svg", "md", "mmd", "puml", "dot"):
            assert client.get(f"/diagrams/{name}.{kind}").status_code == 200, (name, kind)
    for page in ("/admin", "/admin/sagas", "/admin/stuck", f"/admin/sagas?parent={meeting}"):
        assert client.get(page).status_code == 200, page
    assert client.get("/metrics").status_code == 200


def test_a_branch_is_replayed_and_so_is_its_parent(app, client, meeting):
    branch = children(client, meeting)["meeting.prepare.rent 2"]
    answer(client, branch, "rent", yes=False)
    assert client.get(f"/api/v1/sagas/{branch}/replay").json["same_way"]
    replay = client.get(f"/api/v1/sagas/{meeting}/replay").json
    assert (replay["same_way"], replay["run"]["state"]) == (True, "CALLED_OFF"), replay["difference"]
    assert '.child("rent").signal("rent"' in replay["test"]
    assert client.get(f"/admin/sagas/{meeting}/replay").status_code == 200
    shown = app.test_cli_runner().invoke(saga, ["replay", meeting], catch_exceptions=False)
    assert (shown.exit_code, '.child("rent")' in shown.output) == (0, True)


def test_branches_cannot_be_started_and_are_no_types(client, meeting):
    assert client.post("/api/v1/sagas/meeting.prepare.rent", json={}).status_code in (404, 405)
    body = {"type": "meeting.prepare.rent", "data": {}}
    assert client.post("/api/v1/sagas", json=body).status_code == 400
    names = [each["type"] for each in client.get("/api/v1/definitions").json["definitions"]]
    assert "meeting" in names
    assert not [name for name in names if "." in name]


def test_the_command_line_draws_the_tree_with_its_branches(app, client, meeting):
    drawn = (
        app.test_cli_runner()
        .invoke(saga, ["show", meeting, "--tree"], env={"COLUMNS": "200"}, catch_exceptions=False)
        .output
    )
    lines = [line.split(":")[0] for line in drawn.splitlines()]
    assert lines[1:] == ["├ prepare.guests", "│ ├ invite[0]", "│ └ invite[1]", "└ prepare.rent"]
    shown = app.test_cli_runner().invoke(saga, ["show", meeting], catch_exceptions=False)
    assert shown.exit_code == 0
