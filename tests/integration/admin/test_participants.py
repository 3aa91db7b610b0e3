"""/admin/participants, the strip on every page, and the same in the API and the command line."""

import re

import pytest
from sqlalchemy import update

from app.access.permissions import Role
from app.access.principal import user
from app.services import services
from app.store.access_models import AuditRow
from app.store.audit import Entry
from app.store.database import db, in_seconds
from app.store.leases import Replicas
from app.store.models import SagaRow
from app.store.process_models import ReplicaRow
from tests.integration.admin.conftest import seen, seen_text

PATH = "/admin/participants"
OPEN = {
    "calls": 12, "failed": 7, "p95_ms": 5000.0, "error": "503 Service Unavailable", "error_age_s": 3.0,
    "breaker": "open", "open_for_s": 42.0, "next_try_s": 20.0,
}  # fmt: skip
PAID = ("succeeded", "succeeded", "succeeded")
WELL = {"calls": 30, "failed": 0, "p95_ms": 12.0, "error": None, "error_age_s": None}


@pytest.fixture
def beat(client):
    """Return a function that writes the heartbeat of a process with its report."""

    def write(owner, silent_s=0.0, **report):
        Replicas(db.engine, owner).beat(report)
        if silent_s:
            db.session.execute(
                update(ReplicaRow).where(ReplicaRow.owner == owner).values(beat_at=in_seconds(-silent_s))
            )
            db.session.commit()

    return write


@pytest.fixture
def waiting(walk):
    """Return a function that stores sagas which back off before a call to `panier`, the first of a checkout."""

    def store(number):
        for _ in range(number):
            saga = walk()
            db.session.execute(
                update(SagaRow).where(SagaRow.id == saga.id).values(deferrals=2, due_at=in_seconds(60), owner=None)
            )
        db.session.commit()

    return store


def test_page_without_trouble_has_no_strip(client, beat):
    beat("web:1", panier=WELL)
    page = client.get("/admin")
    assert "outage" not in page.get_data(as_text=True)
    assert re.search("panier closed . 0 30 0 12 ms", seen(client.get(PATH)))


@pytest.mark.parametrize("path", ["/admin", "/admin/sagas", "/admin/stuck", "/admin/audit", PATH])
def test_every_page_names_the_participant_that_does_not_answer(client, beat, waiting, path):
    beat("web:1", panier=OPEN)
    waiting(3)
    words = "panier is not answering (503 Service Unavailable): its circuit breaker is open, and 3 sagas wait."
    assert words in seen(client.get(path))


@pytest.mark.parametrize("path", ["/admin", "/admin/stuck"])
def test_page_says_who_is_waited_for_instead_of_no_action(client, waiting, aged, walk, path):
    assert "No sagas are stuck. No action is needed." in seen(client.get(path))
    waiting(2)
    for saga in db.session.query(SagaRow).limit(1):
        aged(saga, 120)
    page = client.get(path)
    assert re.search(
        r"No sagas are stuck. 2 sagas wait for panier , the first for 2 min. The next call .* in", seen(page)
    )
    assert '<a href="/admin/sagas?waiting_for=panier"' in page.text
    client.post(f"{PATH}/panier/pause", data={"reason": "maintenance"})
    assert "panier is paused: no call is sent until somebody resumes it." in seen(client.get(path))


def test_saga_that_waits_has_a_status_of_its_own_and_is_counted_once(client, waiting, walk):
    """One table, one saga that runs and two that wait for their participant."""
    walk("succeeded")
    waiting(2)
    words = seen(client.get("/admin"))
    assert "2 waiting for panier" in words
    assert re.search(r"0 stuck .*\b1 running 0 compensating 0 pending", words)
    assert "of the 3 under way" in words
    assert re.search(r"checkout 0 1 2 0 0 ", words), "stuck, running, waiting, compensating, pending"
    assert words.partition("Oldest unfinished")[2].partition("By saga")[0].count(" waiting for panier ") == 2
    assert re.search(r"3 sagas started in the last hour: 1 running, 2 waiting\.", client.get("/admin").text)
    assert " running 1 waiting 2 " in words.partition("60 min ago")[2].partition("Needs attention")[0]
    saga = next(each for each in db.session.query(SagaRow) if each.deferrals)
    run = client.application.test_cli_runner().invoke
    listed, shown = run(args=["saga", "list"]).output, run(args=["saga", "show", str(saga.id)]).output
    for rows in (seen(client.get("/admin/sagas")).partition("Started UTC Took Error")[2], listed):
        assert rows.count("waiting for panier") == 2, "each row says it once"
    assert (listed.count("◷ waiting for panier"), listed.count("● running")) == (2, 1)
    assert shown.startswith("◷ waiting for panier in ")
    assert f"{saga.id} waiting for panier " in run(args=["saga", "show", str(saga.id), "--tree"]).output
    assert re.search(r"v1 waiting for panier ", seen(client.get(f"/admin/sagas/{saga.id}")))


def test_all_parts_of_a_page_show_one_count(client, beat, waiting):
    """The head of the page was read before more sagas came to wait."""
    beat("web:1", panier=OPEN)
    waiting(3)
    assert "and 3 sagas wait." in seen(client.get("/admin/audit"))
    waiting(2)
    words = seen(client.get("/admin"))
    assert re.findall(r"(\d) (?:sagas wait\b|waiting for panier)", words) == ["5"] * 3


def sentences(page):
    """Return the text of a page without identifiers, addresses, choices of a form, and titles that name them."""
    text = re.sub(r"<(option|textarea).*?</\1>", "", page.text, flags=re.DOTALL)
    return seen_text(
        re.sub(r'<(span|p|td|code|dd)[^>]*class="[^"]*\b(id|mono)\b[^"]*"[^>]*>.*?</\1>', "", text, flags=re.DOTALL)
    )


@pytest.mark.parametrize("outcomes", [
    (), ("succeeded",), ("succeeded", "succeeded"), PAID, (*PAID, "exhausted"), (*PAID, "exhausted", "resolve"),
])  # fmt: skip
def test_every_sentence_names_a_participant_by_its_title(client, titled, walk, outcomes):
    page = client.get(f"/admin/sagas/{walk(*outcomes).id}")
    assert [found for name in titled for found in re.findall(rf".{{40}}\b{name}\b(?!:).{{40}}", sentences(page))] == []


def test_outage_and_pause_name_a_participant_by_its_title(client, titled, beat, waiting, monkeypatch):
    beat("web:1", panier=OPEN)
    waiting(1)
    client.post(f"{PATH}/panier/pause", data={"reason": "maintenance"})
    monkeypatch.setattr(type(services().pauses), "names", frozenset({"panier"}))
    saga = db.session.query(SagaRow).one()
    for path in ("/admin", "/admin/sagas", "/admin/stuck", PATH, f"/admin/sagas/{saga.id}"):
        page = client.get(path)
        assert "The basket" in sentences(page), path
        assert re.findall(r".{40}\bpanier\b.{40}", sentences(page).replace("The basket (panier)", "")) == [], path
    assert "Not now: The basket is paused, so nothing would be sent" in sentences(page)


def test_page_says_what_each_process_sees(client, beat, waiting):
    beat("web:1", panier=OPEN)
    beat("web:2", panier=WELL)
    waiting(2)
    page = seen(client.get(PATH))
    assert re.search(r"open for 4[2-9] s in 1 of 2 processes next try in (1\d|20) s 503 Service Unavailable", page)
    assert "panier web:1 open for" in page
    assert "panier web:2 closed" in page


def test_report_of_a_process_that_has_died_is_left_out(client, beat):
    beat("web:1", silent_s=60, panier=OPEN)
    beat("web:2", panier=WELL)
    assert "not answering" not in seen(client.get("/admin"))


def test_operator_pauses_and_resumes_and_the_trail_says_so(client, waiting):
    waiting(2)
    assert client.post(f"{PATH}/panier/pause", data={"reason": "maintenance"}).status_code == 303
    page = seen(client.get(PATH))
    assert "panier is paused by ada: 2 sagas wait." in page
    assert "by ada, " in page
    assert ": maintenance" in page
    assert "The 2 sagas that wait go on one after another, the last one in 100 ms." in page
    assert services().pauses.holds("panier")
    assert client.post(f"{PATH}/panier/pause", data={"reason": "again"}).status_code == 409
    assert client.post(f"{PATH}/panier/resume", data={"reason": "over"}).status_code == 303
    assert "panier is resumed. The 2 sagas that waited go on one after another, the last one in 100 ms." in seen(
        client.get(PATH)
    )
    assert client.post(f"{PATH}/panier/resume", data={"reason": "over"}).status_code == 409
    rows = db.session.query(AuditRow).order_by(AuditRow.seq)
    assert [(row.actor, row.action, row.target, row.reason) for row in rows] == [
        ("user:ada", "participant.pause", "panier", "maintenance"),
        ("user:ada", "participant.resume", "panier", "over"),
    ]


def test_pause_needs_a_reason_and_a_participant_of_a_table(client):
    assert client.post(f"{PATH}/panier/pause", data={"reason": " "}).status_code == 400
    assert client.post(f"{PATH}/nobody/pause", data={"reason": "x"}).status_code == 404
    assert not services().pauses.holds("panier")


def test_viewer_sees_the_page_without_a_form(client, monkeypatch):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("eve", Role.VIEWER))
    assert "<form" not in client.get(PATH).get_data(as_text=True).split("<main")[1]
    assert client.post(f"{PATH}/panier/pause", data={"reason": "x"}).status_code == 403


def test_saga_of_a_paused_participant_promises_no_next_try(client, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    start = {"json": {"client_id": 4, "magasin_id": 1}, "headers": {"Prefer": "wait=0"}}
    saga_id = client.post("/api/v1/sagas/checkout", **start).json["id"]
    services().runner.pool.shutdown()

    def said():
        run = client.application.test_cli_runner().invoke
        page, listed = client.get(f"/admin/sagas/{saga_id}"), client.get("/admin/sagas")
        commands = (run(args=["saga", "list"]).output, run(args=["saga", "show", saga_id]).output)
        return seen(page), [seen(page), seen(listed), *commands], client.get(f"/api/v1/sagas/{saga_id}").json

    page, texts, whole = said()
    assert all("next try" in text for text in texts)
    assert whole["waiting_until"]
    client.post(f"{PATH}/panier/pause", data={"reason": "maintenance"})  # after the last attempt
    page, texts, whole = said()
    words = r"aiting for panier \(paused\): nothing is sent until a person resumes it"
    listed = r"waiting for panier .*paused, nothing is sent until a person resumes it"
    for text, said_there in zip(texts, (words, listed, listed, words), strict=True):
        assert re.search(said_there, text, re.DOTALL)
        assert "next try" not in text
    assert "Next try not while panier is paused" in page
    assert "Not now: panier is paused, so nothing would be sent; resume it first." in page
    assert (whole["waiting_for"], whole["waiting_until"]) == ("panier (paused)", None)
    client.post(f"{PATH}/panier/resume", data={"reason": "over"})
    _, texts, whole = said()
    assert all("next try now" in text and "paused" not in text.partition("resumed")[0] for text in texts[:3])
    assert "paused" not in whole["waiting_for"]


def test_api_and_command_line_say_and_do_the_same(client, beat, waiting):
    beat("web:1", panier=OPEN)
    waiting(1)
    found = {each["name"]: each for each in client.get("/api/v1/participants").json["participants"]}
    panier = found["panier"]
    assert (panier["state"], panier["breaker"], panier["sagas_waiting"]) == ("not answering", "open", 1)
    assert (panier["calls_last_minute"], panier["failed_last_minute"], panier["p95_ms"]) == (12, 7, 5000.0)
    assert client.post("/api/v1/participants/panier/pause", json={"reason": "x"}).status_code == 200
    assert client.post("/api/v1/participants/panier/pause").status_code == 409
    assert client.post("/api/v1/participants/nobody/pause").status_code == 404
    run = client.application.test_cli_runner().invoke
    listed = run(args=["saga", "participants", "list"]).output
    assert "panier" in listed
    assert "paused by" in listed
    resumed = run(args=["saga", "participants", "resume", "panier", "--reason", "over", "--actor", "eve"])
    assert resumed.output == "panier is resumed. The saga that waited goes on now.\n"
    assert run(args=["saga", "participants", "resume", "panier", "--reason", "over"]).exit_code == 7
    row = db.session.query(AuditRow).order_by(AuditRow.seq.desc()).first()
    assert (row.actor, row.action) == ("cli:eve", "participant.resume")


@pytest.mark.parametrize("command", [["pause", "--reason", "x"], ["resume", "--reason", "x"], ["check"]])
def test_command_refuses_an_unknown_participant_and_names_the_known_ones(client, command):
    result = client.application.test_cli_runner().invoke(args=["saga", "participants", *command, "bnk"])
    assert result.exit_code == 2
    assert result.stderr.startswith("saga: there is no participant bnk; the tables use catalogue, client, ")
    assert result.stderr.count("\n") == 1


def test_participant_that_no_table_calls_any_more_can_be_resumed(client):
    entry = Entry(actor="user:ada", action="participant.pause", target="old", reason="x")
    services().participant_store.pause("old", entry)
    result = client.application.test_cli_runner().invoke(
        args=["saga", "participants", "resume", "old", "--reason", "x"]
    )
    assert (result.exit_code, result.output) == (0, "old is resumed. No saga waited for it.\n")
