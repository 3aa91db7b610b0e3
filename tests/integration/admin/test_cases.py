"""The case of a saga: who looks after it, notes, snoozing, Markdown for a ticket, and the hand-over list."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskCliRunner

from app.access.permissions import Role
from app.access.principal import user
from app.store import audit
from app.store.database import db
from app.store.models import SagaRow
from tests.integration.admin.conftest import seen

STUCK = ("succeeded", "succeeded", "succeeded", "exhausted")
GIVEN_UP = (*STUCK, "compensate", "succeeded", "succeeded")


def post(client, saga, action, **form):
    return client.post(f"/admin/sagas/{saga.id}/case/{action}", data=form)


def become(monkeypatch, name, role=Role.OPERATOR):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user(name, role))


def ahead(**time):
    return (datetime.now(UTC) + timedelta(**time)).strftime("%Y-%m-%dT%H:%M")


def actions_of(saga):
    return [row.action for row in reversed(audit.page(db.engine, limit=50, saga_id=saga.id))]


def test_taken_saga_names_its_person_everywhere(client, walk):
    saga = walk(*STUCK)
    assert "nobody looks after it" in seen(client.get(f"/admin/sagas/{saga.id}"))
    assert post(client, saga, "take", seen="").status_code == 303
    assert "ada looks after it since" in seen(client.get(f"/admin/sagas/{saga.id}"))
    assert "ada looks after it" in seen(client.get("/admin/stuck"))
    assert post(client, saga, "give-back", seen="user:ada").status_code == 303
    assert "ada looks after it" not in seen(client.get("/admin/stuck"))
    assert actions_of(saga) == ["case.take", "case.give_back"]
    assert db.session.get(SagaRow, saga.id).version == saga.version, "a case does not move the saga"


def test_second_person_is_refused_unless_the_page_named_the_first(client, walk, monkeypatch):
    saga = walk(*STUCK)
    post(client, saga, "take", seen="")
    become(monkeypatch, "otto")
    refused = post(client, saga, "take", seen="")
    assert (refused.status_code, refused.mimetype) == (409, "text/html")
    assert "ada looks after it" in seen(refused)
    assert actions_of(saga) == ["case.take"]
    assert "Take it over" in seen(client.get(f"/admin/sagas/{saga.id}"))
    assert post(client, saga, "take", seen="user:ada").status_code == 303
    assert "otto looks after it since" in seen(client.get(f"/admin/sagas/{saga.id}"))


@pytest.mark.parametrize(
    ("word", "found"), [("mine", 1), ("taken", 2), ("free", 1), ("all", 4), ("open", 3), ("snoozed", 1)]
)
def test_stuck_sagas_are_filtered_by_their_case(client, walk, monkeypatch, word, found):
    mine, theirs, _free, asleep = (walk(*STUCK) for _ in range(4))
    become(monkeypatch, "otto")
    post(client, theirs, "take", seen="")
    become(monkeypatch, "ada")
    post(client, mine, "take", seen="")
    post(client, asleep, "snooze", until=ahead(hours=2), reason="the bank is closed")
    assert client.get(f"/admin/stuck?case={word}").text.count('data-is="For"') == found


def test_snoozed_saga_is_off_the_list_until_its_time(client, walk, monkeypatch):
    saga = walk(*STUCK)
    assert post(client, saga, "snooze", until=ahead(hours=2), reason="the bank is closed").status_code == 303
    page = seen(client.get("/admin/stuck"))
    assert "1 snoozed saga is not on this list" in page
    assert "No sagas are stuck" in page
    assert "1 stuck" in seen(client.get("/admin")), "the count keeps it"
    db.session.execute(db.text("UPDATE saga_case SET snoozed_until = '2026-01-01 00:00:00.000000'"))
    db.session.commit()
    assert client.get("/admin/stuck").text.count('data-is="For"') == 1
    assert "snoozed saga" not in seen(client.get("/admin/stuck"))


def test_commands_and_jobs_leave_out_snoozed_sagas_unless_they_are_chosen(client, walk):
    walk(*STUCK)
    asleep = walk(*STUCK)
    post(client, asleep, "snooze", until=ahead(hours=2), reason="the bank is closed")

    def run(*words):
        done = client.application.test_cli_runner().invoke(args=["saga", *words])
        return done.stdout.strip().splitlines()[-1], done.stderr

    left_out = "1 snoozed saga is left out; --case all takes it, too.\n"
    dry = ("bulk", "start", "retry", "--dry-run")
    assert run("stuck") == ("1 saga needs attention.", left_out)
    assert run(*dry) == ("Dry run: nothing was changed. The job would retry 1 of 1 saga.", left_out)
    for chosen in (("--case", "all"), ("--id", str(asleep.id))):
        assert run("stuck", *chosen)[1] == run(*dry, *chosen)[1] == ""
    assert run("stuck", "--case", "all")[0] == "2 sagas need attention."
    assert run("stuck", "--id", str(asleep.id))[0] == "1 saga needs attention."
    found = [
        client.post("/api/v1/bulk", json={"action": "retry", "reason": "x", "dry_run": True, "filter": wanted}).json
        for wanted in ({}, {"case": "all"}, {"id": [str(asleep.id)]})
    ]
    assert [each["sagas"] for each in found] == [1, 2, 1]
    assert "Retry now: all 1" in seen(client.get(f"/admin/stuck/group?ticked=true&id={asleep.id}"))


def test_snoozed_saga_can_be_put_back(client, walk):
    saga = walk(*STUCK)
    post(client, saga, "snooze", until=ahead(hours=2), reason="the bank is closed")
    assert "Put it back on the list" in seen(client.get(f"/admin/sagas/{saga.id}"))
    post(client, saga, "wake")
    assert client.get("/admin/stuck").text.count('data-is="For"') == 1
    assert actions_of(saga) == ["case.snooze", "case.wake"]


@pytest.mark.parametrize(
    ("action", "form", "words"),
    [
        ("snooze", {"until": "2020-01-01T10:00", "reason": "x"}, "Give a time (UTC) within the next 30 days"),
        ("snooze", {"until": ahead(days=40), "reason": "x"}, "Give a time (UTC) within the next 30 days"),
        ("snooze", {"until": "soon", "reason": "x"}, "until"),
        ("snooze", {"until": ahead(hours=1), "reason": " "}, "reason"),
        ("note", {"reason": ""}, "reason"),
        ("take", {"colour": "red"}, "colour"),
    ],
)
def test_wrong_form_changes_nothing(client, walk, action, form, words):
    saga = walk(*STUCK)
    answer = post(client, saga, action, **form)
    assert (answer.status_code, answer.mimetype) == (400, "text/html")
    assert words in seen(answer)
    assert actions_of(saga) == []


def test_hand_over_lists_unsettled_cases_and_counts_the_free_ones(client, walk):
    noted, settled, unknown, _free = (
        walk(*STUCK),
        walk(*STUCK[:3], "succeeded", "succeeded"),
        walk(*GIVEN_UP),
        walk(*STUCK),
    )
    assert settled.status == "completed"
    for saga in (noted, settled, unknown):
        assert post(client, saga, "note", reason="called the bank, they look").status_code == 303
    page = client.get("/admin/handover")
    shown = {saga for saga in (noted, settled, unknown) if str(saga.id) in page.text}
    assert shown == {noted, unknown}
    assert "called the bank, they look" in seen(page)
    assert "2 stuck sagas have been taken by nobody" in seen(page)
    post(client, noted, "take", seen="")
    assert "1 stuck saga has been taken by nobody" in seen(client.get("/admin/handover"))


def test_ticket_is_markdown_with_everything_and_without_secrets(client, walk):
    saga = walk(*STUCK, reason="password=hunter2 <b>*bold*</b>")
    post(client, saga, "note", reason="asked Eve")
    text = client.get(f"/admin/sagas/{saga.id}").text.partition('<textarea id="ticket"')[2].partition("</textarea>")[0]
    assert f"## Checkout (checkout) {saga.id}" in text
    assert f"/admin/sagas/{saga.id}" in text
    assert "a person must decide" in text
    assert "- Record the sale (enregistrer\\_vente): unknown. ventes was called and gave no clear answer" in text
    assert (
        "- Take the payment (payer): took effect. 5 EUR taken from customer 4, not given back. client did it." in text
    )
    assert "ada: noted: asked Eve" in text
    assert "hunter2" not in text
    assert "\\*bold\\*" in text, "the text of a participant is no Markdown"


def test_viewer_reads_the_case_and_changes_nothing(client, walk, monkeypatch):
    saga = walk(*STUCK)
    become(monkeypatch, "eve", Role.VIEWER)
    for action in ("take", "give-back", "note", "snooze", "wake"):
        assert post(client, saga, action, reason="x", until=ahead(hours=1)).status_code == 403
    page = seen(client.get(f"/admin/sagas/{saga.id}"))
    assert "nobody looks after it" in page
    assert "Take it" not in page
    assert client.get("/admin/handover").status_code == 200


def test_program_takes_notes_snoozes_and_gives_back_a_case(client, walk):
    saga = walk(*STUCK)
    url = f"/api/v1/sagas/{saga.id}/case"
    assert client.get(url).json == {"taken_by": None, "taken_at": None, "snoozed_until": None, "note": None}
    assert client.post(f"{url}/take").json["taken_by"] == "user:ada"
    assert client.post(f"{url}/take").status_code == 409
    assert client.post(f"{url}/take", json={"seen": "user:ada"}).status_code == 200
    assert client.post(f"{url}/note", json={"note": "asked the bank"}).json["note"] == "asked the bank"
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert client.post(f"{url}/snooze", json={"until": until, "reason": "tomorrow"}).json["snoozed_until"] == until
    late = client.post(f"{url}/snooze", json={"until": "2099-01-01", "reason": "never"})
    assert (late.status_code, late.json["errors"][0]["pointer"]) == (400, "/until")
    assert client.post(f"{url}/wake").json["snoozed_until"] is None
    assert client.post(f"{url}/give-back").json["taken_by"] is None
    assert actions_of(saga) == ["case.take", "case.take", "case.note", "case.snooze", "case.wake", "case.give_back"]


def test_command_line_keeps_the_case_as_the_page_does(client, walk):
    saga = walk(*STUCK)

    def run(*arguments, code=0):
        done = FlaskCliRunner(client.application).invoke(args=["saga", "case", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    run("take", str(saga.id), "--actor", "otto")
    assert "otto looks after it" in run("take", str(saga.id), "--actor", "eve", code=7)
    run("note", str(saga.id), "asked the bank", "--actor", "otto")
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    run("snooze", str(saga.id), "--until", until, "--reason", "tomorrow")
    assert "within the next 30 days" in run("snooze", str(saga.id), "--until", "2099-01-01", "--reason", "no", code=2)
    shown = json.loads(run("show", str(saga.id), "--json"))
    assert (shown["taken_by"], shown["note"], shown["snoozed_until"]) == ("cli:otto", "asked the bank", until)
    run("wake", str(saga.id))
    run("give-back", str(saga.id), "--actor", "otto")
    assert run("show", str(saga.id)).startswith("Looked after by nobody.")
