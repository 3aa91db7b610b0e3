"""Bulk jobs: a dry run, a durable job that any process carries out, and its page until each saga has settled."""

import re
from uuid import UUID

import pytest
from sqlalchemy import text, update

from app.access.permissions import Role
from app.access.principal import user
from app.admin.bulk import SHOWN
from app.engine.bulk import BulkJobs
from app.services import services
from app.store.access_models import AuditRow
from app.store.bulk import BulkStore
from app.store.console_models import BulkItemRow, BulkJobRow
from app.store.database import db, in_seconds
from app.store.models import JournalRow, SagaRow
from tests.integration.admin.conftest import seen

STUCK = ("succeeded", "succeeded", "succeeded", "exhausted")
GROUP = "/admin/stuck/group"
CHECKOUT = "type=checkout&version=1&state=STUCK_ENREGISTRER_VENTE&status=stuck"
FORM = {"action": "retry", "reason": "sales is back", "pace": "20"}


@pytest.fixture
def process(client):
    """Return the worker on bulk jobs of this process. The test calls `step`, because no thread runs."""
    return services().bulk_jobs


def another(process):
    """Return the worker of another process."""
    return BulkJobs(process.store, services().sagas, "other:1", services().runner.stopping)


def start(client, query=CHECKOUT, **form):
    answer = client.post(f"{GROUP}?{query}", data=FORM | form)
    assert answer.status_code == 303, seen(answer)
    return answer.location


def make_due(job_id=None):
    db.session.execute(update(BulkJobRow).values(due_at=in_seconds(-1)).where(BulkJobRow.due_at.is_not(None)))
    db.session.commit()


def settle(status, *sagas):
    """Let sagas end, or get stuck again, as the engine would do."""
    # With a new version, because a thread may still run the saga.
    values = {"status": status, "owner": None, "due_at": None, "version": SagaRow.version + 1}
    db.session.execute(update(SagaRow).where(SagaRow.id.in_([saga.id for saga in sagas])).values(values))
    db.session.commit()


def retries(saga):
    return db.session.query(JournalRow).filter_by(saga_id=saga.id, trigger="retry", actor="user:ada").count()


def test_dry_run_changes_nothing_and_the_job_moves_each_saga_once(client, walk, process):
    sagas = [walk(*STUCK) for _ in range(3)]
    page = seen(client.get(f"{GROUP}?{CHECKOUT}"))
    assert "Nothing has been done yet" in page
    assert "Retry now: all 3" in page
    assert db.session.query(BulkJobRow).count() == 0
    location = start(client)
    assert "Running: 3 to come." in seen(client.get(location))
    assert [retries(saga) for saga in sagas] == [0, 0, 0]
    assert process.step()
    assert "Running: 3 under way." in seen(client.get(location))
    assert [retries(saga) for saga in sagas] == [1, 1, 1]
    assert db.session.query(AuditRow).filter_by(action="saga.retry").count() == 3
    row = db.session.query(AuditRow).filter_by(action="bulk.start").one()
    assert (row.actor, row.reason, row.after["sagas"]) == ("user:ada", "sales is back", 3)


def test_job_follows_until_each_saga_has_settled_and_names_those_stuck_again(client, walk, process):
    good, bad = [walk(*STUCK) for _ in range(2)], walk(*STUCK)
    location = start(client)
    process.step()
    settle("completed", *good)
    make_due()
    process.step()
    assert "Running: 2 completed, 1 under way." in seen(client.get(location))
    settle("stuck", bad)
    make_due()
    process.step()
    page = client.get(location)
    assert "Done: 2 completed, 1 stuck." in seen(page)
    assert str(bad.id)[-8:] in seen(page)
    (link,) = re.findall(r'href="(/admin/stuck/group\?job=[^"]+)"', page.get_data(as_text=True))
    db.session.execute(update(SagaRow).where(SagaRow.id == bad.id).values(state="STUCK_ENREGISTRER_VENTE"))
    db.session.commit()
    assert "Retry now: all 1" in seen(client.get(link)), "those, and no other"
    make_due()
    assert not process.step(), "nothing is left to do"


def test_process_that_dies_before_it_records_leaves_no_saga_moved_twice(client, walk, process, monkeypatch):
    sagas = [walk(*STUCK) for _ in range(3)]
    location = start(client)

    def die(*_arguments):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(BulkStore, "record", die)
        with pytest.raises(SystemExit):
            process.step()
    assert [retries(saga) for saga in sagas] == [1, 1, 1]
    assert not another(process).step(), "its lease has not ended"
    settle("stuck", *sagas)  # stuck again in the same state, so only the journal knows that they were moved
    db.session.execute(text("UPDATE saga SET state = 'STUCK_ENREGISTRER_VENTE'"))
    db.session.commit()
    make_due()
    assert another(process).step()
    assert [retries(saga) for saga in sagas] == [1, 1, 1]
    make_due()
    another(process).step()
    assert "3 stuck" in seen(client.get(location))


def test_result_of_a_process_that_was_overtaken_is_not_recorded(client, walk, process, monkeypatch):
    walk(*STUCK)
    start(client)
    real = BulkStore.next_items

    def overtaken(store, *arguments):
        monkeypatch.setattr(BulkStore, "next_items", real)
        make_due()
        other = another(process)
        assert other.store.claim("other:1", 15) is not None
        return real(store, *arguments)

    monkeypatch.setattr(BulkStore, "next_items", overtaken)
    process.step()
    assert db.session.query(BulkItemRow).one().result is None


def test_saga_that_has_left_its_state_is_refused_with_the_reason(client, walk, process):
    first, second = walk(*STUCK), walk(*STUCK)
    location = start(client, action="compensate")
    services().sagas.compensate(second.id, "user:bob", "because", 0)
    process.step()
    page = seen(client.get(location))
    assert "1 refused, 1 under way" in page
    assert f"{str(second.id)[-8:]} refused the saga has moved from STUCK_ENREGISTRER_VENTE" in page
    assert str(first.id)[-8:] not in page


def test_sagas_stuck_after_the_dry_run_are_left_out(client, walk, process):
    walk(*STUCK)
    until = re.search(r'name="until" value="([^"]+)"', client.get(f"{GROUP}?{CHECKOUT}").get_data(as_text=True))[1]
    walk(*STUCK)
    start(client, until=until)
    assert db.session.query(BulkItemRow).count() == 1


def test_paused_job_rests_resumed_it_goes_on_and_a_stopped_one_ends(client, walk, process):
    for _ in range(3):
        walk(*STUCK)
    location = start(client, pace="1")
    process.step()
    client.post(f"{location}/pause")
    make_due()
    assert not process.step()
    page = seen(client.get(location))
    assert "Paused: 1 under way, 2 to come." in page
    name = "stuck: Record the sale (STUCK_ENREGISTRER_VENTE)"
    assert f"Filter state {name}, status stuck, type Checkout (checkout), version 1 Why" in page
    assert "The job was" not in page, "a notice would stay while the job goes on"
    assert client.post(f"{location}/pause").status_code == 409
    client.post(f"{location}/resume")
    assert process.step()
    client.post(f"{location}/stop")
    assert not process.step()
    assert "Stopped: 2 under way, 1 not touched." in seen(client.get(location))
    assert client.post(f"{location}/resume").status_code == 409
    actions = [row.action for row in db.session.query(AuditRow).order_by(AuditRow.seq) if "bulk" in row.action]
    assert actions == ["bulk.start", "bulk.pause", "bulk.resume", "bulk.stop"]


def test_job_keeps_to_its_pace(client, walk, process):
    for _ in range(3):
        walk(*STUCK)
    start(client, pace="2")
    process.step()
    assert db.session.query(BulkItemRow).filter_by(result="moved").count() == 2
    assert not process.step(), "the next part is due after a second"


def test_one_job_acts_on_several_groups_and_on_the_sagas_that_its_action_fits(client, walk, process):
    pivot, later = walk(*STUCK), walk(*STUCK[:-1], "succeeded", "exhausted")
    assert "Act on all 2 of 2 groups" in seen(client.get("/admin/stuck"))
    page = seen(client.get(GROUP))
    assert "2 sagas in 2 groups" in page
    assert "Retry now: all 2" in page
    assert "Compensate: 1 of 2" in page, "behind the pivot nothing is undone"
    kinds = re.search(r"Retry now: all 2 safe (.*?) What is sent", page)[1]
    assert sorted(re.findall(r"1: Sends ([\w ]+) \(\w+\) again", kinds)) == ["Confirm the goods", "Record the sale"]
    start(client, query="", action="compensate")
    assert [row.saga_id for row in db.session.query(BulkItemRow)] == [pivot.id]
    start(client, query="")
    assert db.session.query(BulkItemRow).filter_by(saga_id=later.id).count() == 1


def test_action_is_offered_when_the_oldest_sagas_do_not_allow_it(client, walk, process):
    for _ in range(SHOWN):
        walk(*STUCK[:-1], "succeeded", "exhausted")
    walk(*STUCK)
    assert "Compensate: 1 of 11" in seen(client.get(GROUP))


def test_only_the_ticked_sagas_are_moved(client, walk, process):
    first, second, _third = (walk(*STUCK) for _ in range(3))
    query = f"ticked=true&id={first.id}&id={second.id}"
    assert "Retry now: all 2" in seen(client.get(f"{GROUP}?{query}"))
    start(client, query=query)
    assert {row.saga_id for row in db.session.query(BulkItemRow)} == {first.id, second.id}


def test_no_ticked_saga_is_an_error_and_not_every_saga(client, walk, process):
    walk(*STUCK)
    assert client.get(f"{GROUP}?ticked=true").status_code == 400
    assert client.post(f"{GROUP}?ticked=true", data=FORM).status_code == 400
    assert db.session.query(BulkJobRow).count() == 0


@pytest.mark.parametrize("changed", [{"reason": ""}, {"action": "resolve"}, {"pace": "0"}, {"pace": "nan"}, {"x": "1"}])
def test_wrong_form_starts_no_job(client, walk, process, changed):
    walk(*STUCK)
    assert client.post(f"{GROUP}?{CHECKOUT}", data=FORM | changed).status_code == 400
    assert db.session.query(BulkJobRow).count() == 0


def test_job_without_a_matching_saga_is_a_conflict(client, process):
    assert client.post(f"{GROUP}?{CHECKOUT}", data=FORM).status_code == 409


def test_everybody_sees_the_job_and_a_viewer_changes_nothing(client, walk, process, monkeypatch):
    walk(*STUCK)
    location = start(client)
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("eve", Role.VIEWER))
    assert "ada retries 1 saga:" in seen(client.get("/admin/stuck"))
    assert "sales is back" in seen(client.get("/admin/bulk"))
    assert "<form" not in client.get(location).get_data(as_text=True).split("<main")[1]
    assert client.post(f"{location}/stop").status_code == 403


@pytest.fixture
def saga(client):
    """Return a function that runs a command `saga bulk …`."""
    run = client.application.test_cli_runner().invoke
    return lambda *words: run(args=["saga", "bulk", *words])


def test_command_line_starts_the_same_job_after_a_dry_run(client, walk, process, saga):
    walk(*STUCK), walk(*STUCK)
    dry = saga("start", "retry", "--participant", "ventes", "--dry-run")
    assert (dry.exit_code, "would retry 2 of 2 sagas" in dry.output) == (0, True), dry.output
    assert db.session.query(BulkJobRow).count() == 0
    done = saga("start", "retry", "--participant", "ventes", "--reason", "back", "--actor", "eve", "--pace", "5")
    assert "retry 2 sagas" in done.output
    job = db.session.query(BulkJobRow).one()
    assert (job.created_by, job.pace, job.wanted) == ("cli:eve", 5.0, {"participant": "ventes"})
    process.step()
    assert "Running: 2 under way." in saga("show", str(job.id)[:8]).output
    assert "Running: 2 under way." in saga("list").output
    assert saga("pause", str(job.id)).output == "The job is paused.\n"
    assert saga("pause", str(job.id)).exit_code == 7
    assert saga("stop", str(job.id)).output == "The job is stopped.\n"


def test_command_line_refuses_a_job_without_a_reason_or_for_an_unknown_participant(client, walk, saga):
    walk(*STUCK)
    assert saga("start", "retry").exit_code == 2
    unknown = saga("start", "retry", "--participant", "nobody", "--dry-run")
    assert (unknown.exit_code, "No table calls the participant 'nobody'" in unknown.stderr) == (2, True)
    assert saga("show", "00000000-0000-0000-0000-000000000000").exit_code == 6
    assert saga("pause", "0000").stderr == "saga: there is no bulk job 0000; `saga bulk list` shows all bulk jobs\n"
    assert saga("show", "job").stderr.startswith("saga: 'job' is no id of a bulk job")
    assert db.session.query(BulkJobRow).count() == 0


def test_api_starts_follows_and_stops_the_same_job_after_a_dry_run(client, walk, process):
    sagas = [walk(*STUCK), walk(*STUCK, client_id=8, magasin_id=1)]
    wanted = {"action": "retry", "reason": "back", "filter": {"client": "4", "participant": "ventes"}}
    dry = client.post("/api/v1/bulk", json=wanted | {"dry_run": True})
    assert (dry.status_code, dry.json, db.session.query(BulkJobRow).count()) == (200, {"sagas": 1, "matching": 1}, 0)
    made = client.post("/api/v1/bulk", json=wanted | {"pace": 5})
    assert (made.status_code, made.json["sagas"], made.json["counts"]) == (201, 1, {"open": 1})
    assert (made.json["filter"], made.json["pace"]) == (wanted["filter"], 5.0)
    assert client.post(f"{made.headers['Location']}/pause").json["status"] == "paused"
    assert client.post(f"{made.headers['Location']}/pause").status_code == 409
    assert client.post(f"{made.headers['Location']}/resume").json["status"] == "running"
    make_due()
    process.step()
    settle("stuck", *sagas)
    make_due()
    process.step()
    shown = client.get(made.headers["Location"]).json
    assert (shown["status"], shown["counts"]) == ("done", {"stuck": 1})
    assert [(saga["saga_id"], saga["result"]) for saga in shown["notable"]] == [(str(sagas[0].id), "stuck")]
    assert [job["id"] for job in client.get("/api/v1/bulk").json["jobs"]] == [made.json["id"]]
    assert client.post(f"{made.headers['Location']}/stop").status_code == 409
    again = client.post("/api/v1/bulk", json=wanted | {"filter": {"job": made.json["id"]}, "dry_run": True})
    assert again.json["matching"] == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"action": "resolve", "reason": "x"}, "/action"), ({"action": "retry"}, "/reason"),
     ({"action": "retry", "reason": "x", "filter": {"participant": "nobody"}}, "/filter/participant"),
     ({"action": "retry", "reason": "x", "pace": 0}, "/pace")],
)  # fmt: skip
def test_api_refuses_a_job_and_names_the_field(client, walk, body, pointer):
    walk(*STUCK)
    answer = client.post("/api/v1/bulk", json=body)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (400, pointer)
    nothing = client.post("/api/v1/bulk", json={"action": "retry", "reason": "x", "filter": {"client": "none"}})
    assert (nothing.status_code, db.session.query(BulkJobRow).count()) == (409, 0)


def test_jobs_that_ended_long_ago_are_pruned_with_their_sagas_results(client, walk, process):
    walk(*STUCK)
    old, ended, runs = (start(client).rpartition("/")[2] for _ in range(3))
    db.session.execute(
        update(BulkJobRow).where(BulkJobRow.id == UUID(old)).values(finished_at=in_seconds(-99 * 86_400))
    )
    db.session.execute(update(BulkJobRow).where(BulkJobRow.id == UUID(ended)).values(finished_at=in_seconds(-60)))
    db.session.commit()
    assert process.store.remove_old(30) == 1
    assert {str(row.id) for row in db.session.query(BulkJobRow)} == {ended, runs}
    assert {str(row.job_id) for row in db.session.query(BulkItemRow)} == {ended, runs}
    assert process.store.remove_old(30) == 0
