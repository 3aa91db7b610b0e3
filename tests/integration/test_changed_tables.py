"""A table changes while its sagas run.

The tests cover `saga migrate-running`, two releases side by side, and what people can read.
"""

import json
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskCliRunner
from sqlalchemy import text

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.cli.__main__ import command_line
from app.cli.group import BAD_INPUT, CONFLICT
from app.config import from_environment
from app.services import services
from app.store.database import db
from app.store.instance import Instance
from machines.outcomes import Outcome
from tests.support.applications import close
from tests.support.documented import blocks
from tests.support.servers import OPEN

TABLES = """
from machines import Saga, compensatable, delete, pivot, post, retriable, text

def trip(version, held, pay, paid="PAID"):
    return Saga(
        name="trip", version=version, initial="ASKED", completed="THANKED", compensated="OFF",
        data={"city": text()}, client="city", participants=("shop",),
        steps=(
            compensatable("book", post("shop", "/bookings", keeps={"id": text()}), repeatable=True,
                          undo=delete("shop", "/bookings/{book.id}"), done=held, refused="FULL"),
            pivot("pay", post("shop", pay, booking="book.id"), done=paid, refused="DECLINED"),
            retriable("send", post("shop", "/send"), done="SENT"),
            retriable("thank", post("shop", "/thanks"), done="THANKED"),
        ),
    )
"""
#: A version in which the states after each step have other names. All calls are the same.
RENAMED = 'THREE = trip(3, "HELD", "/pay", "CHARGED")\n'
OLD, NEW = 'ONE = trip(1, "BOOKED", "/pay")\n', 'TWO = trip(2, "HELD", "/v2/pay")\n'


class Release:
    """A release of the service with these tables, on one database."""

    def __init__(self, folder, url, *tables):
        folder.mkdir(exist_ok=True)
        (folder / "trips.py").write_text(TABLES + "".join(tables))
        for name in ("sagas", "sagas.trips"):
            sys.modules.pop(name, None)
        settings = {"DATABASE_URL": url, "PARTICIPANTS_URL": "http://127.0.0.1:9", "SAGAS": str(folder)}
        self.app = create_app(from_environment(OPEN | settings))
        self.client = self.app.test_client()
        self.registry = services(self.app).registry
        self.store = services(self.app).runner._engine.store

    def run(self, *arguments, code=0):
        done = FlaskCliRunner(self.app).invoke(args=["saga", *arguments])
        assert done.exit_code == code, done.output
        return done

    def saga(self, *outcomes, version=1, in_doubt=False):
        """Store a saga whose calls had these outcomes. No process holds the saga."""
        saga = Instance.new(self.registry.get("trip", version), {"city": "Oslo"}, actor="client")
        self.store.insert(saga, 300, owner=None)
        for outcome in outcomes:
            saga.conclude(outcome, reason="why", reply={"id": "b1"}, duration_ms=5.0)
            if outcome is Outcome.SUCCEEDED:
                saga.results["book"] = {"id": "b1"}
        saga.in_doubt |= in_doubt
        self.store.save(saga, None if saga.current.call is None else 300, owner=None)
        return saga

    def read_by_every_reader(self, saga, monkeypatch):
        """Read a saga by the API, the commands and the pages. Return the API's JSON of the saga."""
        one = f"/api/v1/sagas/{saga.id}"
        for path in ("/api/v1/sagas", f"{one}/journal", f"{one}/events", "/metrics", f"{one}/diagram.svg"):
            assert self.client.get(path).status_code == 200, path
        for command in (["list"], ["show", str(saga.id)], ["show", str(saga.id), "--json"]):
            assert str(saga.id)[-8:] in self.run(*command).output
        monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
        monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
        for path in (f"/admin/sagas/{saga.id}", "/admin/sagas", "/admin"):
            assert self.client.get(path).status_code == 200, path
        monkeypatch.undo()
        return self.client.get(one).get_json()


@pytest.fixture
def release(tmp_path, store_url):
    made = []

    def new(*tables):
        made.append(Release(tmp_path / f"release{len(made)}", store_url, *tables))
        return made[-1]

    yield new
    for each in made:
        close(each.app)
    for name in ("sagas", "sagas.trips"):
        sys.modules.pop(name, None)


MIGRATE = ("migrate-running", "trip", "--from", "1", "--to", "2")
APPLY = ("--apply", "--reason", "the shop has moved", "--actor", "ada")


def versions(release):
    with release.app.app_context():
        return sorted(map(tuple, db.session.execute(text("SELECT definition_version, state FROM saga"))))


def test_without_apply_nothing_is_moved(release):
    both = release(OLD, NEW)
    both.saga(Outcome.SUCCEEDED)
    both.saga()
    done = both.run(*MIGRATE, "--map", "BOOKED=HELD")
    assert done.stdout.splitlines() == [
        "trip v1 → trip v2: 2 unfinished saga(s)",
        "      1  ASKED",
        "      1  BOOKED → HELD",
        "Nothing was moved: this was a dry run; --apply --reason '…' moves them.",
    ]
    assert versions(both) == [(1, "ASKED"), (1, "BOOKED")]


def test_one_saga_that_cannot_move_keeps_all_back(release):
    both = release(OLD, NEW)
    both.saga(Outcome.SUCCEEDED)
    doubted = both.saga(Outcome.SUCCEEDED, in_doubt=True)
    done = both.run(*MIGRATE, "--map", "BOOKED=HELD", *APPLY, code=CONFLICT)
    reason = "step 'pay' may have been called, and step 'pay': call was POST shop/pay and is POST shop/v2/pay"
    assert f"cannot move: {reason} in trip v2; for example saga {str(doubted.id)[-8:]}" in done.stdout
    assert done.stderr == "saga: 1 saga(s) cannot move, so none was moved; see the reasons above\n"
    assert versions(both) == [(1, "BOOKED")] * 2


def test_apply_moves_and_the_same_command_takes_it_back(release):
    both = release(OLD, NEW)
    both.saga(Outcome.SUCCEEDED)
    assert both.run(*MIGRATE, "--map", "BOOKED=HELD", *APPLY).stdout.endswith("1 moved.\n")
    assert versions(both) == [(2, "HELD")]
    (row,) = map(json.loads, both.run("audit", "list", "--json").stdout.splitlines())
    assert (row["actor"], row["action"], row["reason"]) == ("cli:ada", "saga.migrate", "the shop has moved")
    back = ("migrate-running", "trip", "--from", "2", "--to", "1", "--map", "HELD=BOOKED")
    assert json.loads(both.run(*back, *APPLY, "--json").stdout)["moved"] == 1
    assert versions(both) == [(1, "BOOKED")]


def test_commands_of_the_manual_do_what_it_says(release, tmp_path, monkeypatch):
    """The commands of docs/changing-a-table.md, in their order, with the exit codes of its table."""
    page = (Path(__file__).parents[2] / "docs" / "changing-a-table.md").read_text()
    commands = [line.partition("#")[0].strip() for block in blocks(page) for line in block.text.splitlines()]
    diffs, moves = [
        [each for each in commands if each.startswith(f"saga {word} ")] for word in ("diff", "migrate-running")
    ]
    assert len(diffs) + len(moves) == len(commands)
    both = release(OLD, NEW)
    both.saga(Outcome.SUCCEEDED)
    (tmp_path / "release0").rename(tmp_path / "sagas")
    (tmp_path / "sagas-of-the-last-release").mkdir()
    (tmp_path / "sagas-of-the-last-release" / "trips.py").write_text(TABLES + OLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGAS", str(tmp_path / "sagas"))
    diffed = [CliRunner().invoke(command_line(), shlex.split(each)[1:], prog_name="saga") for each in diffs]
    assert [each.exit_code for each in diffed] == [0, 10], [each.output for each in diffed]
    assert "step 'pay': call was POST shop/pay and is POST shop/v2/pay" in diffed[1].output
    seen = [versions(both)]
    for each in moves:
        both.run(*shlex.split(each)[1:])
        seen.append(versions(both))
    assert seen == [[(1, "BOOKED")], [(1, "BOOKED")], [(2, "HELD")], [(1, "BOOKED")]]


def test_saga_from_before_digests_is_moved_by_the_first_recorded_table(release):
    both = release(OLD, NEW)
    both.saga(Outcome.SUCCEEDED)
    with both.app.app_context():
        services().runner.tables.compare()
        db.session.execute(text("UPDATE saga SET table_digest = NULL"))
        db.session.commit()
    assert both.run(*MIGRATE, "--map", "BOOKED=HELD", *APPLY).stdout.endswith("1 moved.\n")
    assert versions(both) == [(2, "HELD")]


def test_saga_that_a_process_holds_is_named_and_left(release):
    both = release(OLD, NEW)
    both.saga(Outcome.SUCCEEDED)
    with both.app.app_context():
        held = "UPDATE saga SET owner = 'another process'"
        db.session.execute(text(held))
        db.session.commit()
    done = both.run(*MIGRATE, "--map", "BOOKED=HELD", *APPLY, code=CONFLICT)
    assert "1 saga(s) were not moved, because a process holds them" in done.stderr
    assert versions(both) == [(1, "BOOKED")]


@pytest.mark.parametrize(
    ("tables", "what"),
    [(OLD.replace('"/pay"', '"/charge"') + NEW, "trip v1"), (OLD + NEW.replace("/v2/", "/v3/"), "trip v2")],
    ids=["--from", "--to"],
)
def test_version_that_was_edited_under_its_sagas_moves_none(release, tables, what):
    both = release(OLD, NEW)
    with both.app.app_context():
        services().runner.tables.compare()
    both.saga(Outcome.SUCCEEDED)
    both.saga(Outcome.SUCCEEDED, version=2)
    done = release(tables).run(*MIGRATE, "--map", "BOOKED=HELD", *APPLY, code=BAD_INPUT)
    assert f"the table of {what} was changed while 1 unfinished saga(s) of it run by another one" in done.stderr
    assert versions(both) == [(1, "BOOKED"), (2, "HELD")]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("migrate-running", "trap", *MIGRATE[2:]), "--from: SAGAS has no trap v1; it has trip v1, trip v2"),
        ((*MIGRATE[:-1], "3"), "--to: SAGAS has no trip v3; it has trip v1, trip v2"),
        (("migrate-running", "trip", "--from", "1", "--to", "1"), "--to: it is the version of --from, 1; name another"),
        ((*MIGRATE, "--map", "BOOKED"), "--map: 'BOOKED' is no OLD=NEW with a state of trip v1 and a state of trip v2"),
        ((*MIGRATE, "--map", "BOOKED=PAID"), "--map: BOOKED of trip v1 is HELD in trip v2, not PAID"),
        ((*MIGRATE, "--apply"), "--reason: it is recorded in the journal and in the audit trail; give it with --apply"),
        (("migrate-running", "trip", "--from", "0", "--to", "2"), "0 is not in the range"),
    ],
)  # fmt: skip
def test_bad_arguments_are_one_line_and_exit_code_2(release, arguments, error):
    both = release(OLD, NEW)
    done = both.run(*arguments, code=BAD_INPUT)
    assert error in done.stderr
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


def test_moved_saga_with_renamed_states_is_read_by_the_new_release_alone(release, monkeypatch):
    both = release(OLD, NEW)
    saga = both.saga(Outcome.SUCCEEDED)
    both.run(*MIGRATE, "--map", "BOOKED=HELD", *APPLY)
    shown = release(NEW).read_by_every_reader(saga, monkeypatch)
    assert [step["status"] for step in shown["steps"]] == ["completed", "in_progress", "pending", "pending"]
    journal = [(row["source"], row["trigger"], row["dest"]) for row in shown["journal"]]
    assert journal[1:] == [("ASKED", "succeeded", "BOOKED"), ("BOOKED", "migrate", "HELD")], "the history is unchanged"
    assert (shown["version"], shown["state"]) == (2, "HELD")


def test_list_counts_the_steps_of_a_moved_saga(release):
    both = release(OLD, NEW)
    both.saga(Outcome.SUCCEEDED)
    both.run(*MIGRATE, "--map", "BOOKED=HELD", *APPLY)
    (line,) = release(NEW).client.get("/api/v1/sagas").get_json()["sagas"]
    assert (line["steps_count"], line["completed_steps"]) == (4, 1)


def test_every_passed_state_of_a_moved_saga_may_have_another_name(release, monkeypatch):
    both = release(OLD, RENAMED)
    saga = both.saga(*[Outcome.SUCCEEDED] * 3)
    to = ("migrate-running", "trip", "--from", "1", "--to", "3")
    assert "add --map BOOKED=HELD --map PAID=CHARGED" in both.run(*to, code=CONFLICT).stdout
    both.run(*to, "--map", "BOOKED=HELD", "--map", "PAID=CHARGED", *APPLY)
    after = release(RENAMED)
    steps = after.read_by_every_reader(saga, monkeypatch)["steps"]
    assert [(step["status"], bool(step["started_at"])) for step in steps] == [
        *[("completed", True)] * 3, ("in_progress", True),
    ]  # fmt: skip
    shown = after.run("show", str(saga.id)).stdout
    assert "point of no return, passed: it only goes forward" in shown
    assert "ada: the shop has moved" in shown


ENDS = {
    "completed": [Outcome.SUCCEEDED] * 4,
    "compensated": [Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.SUCCEEDED],
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "later",
    [OLD + NEW, NEW, OLD.replace("BOOKED", "HELD"), OLD.replace('"/pay"', '"/charge"')],
    ids=["beside", "removed", "renamed in place", "edited in place"],
)
def test_ended_saga_of_a_changed_table_is_read_by_everything(release, monkeypatch, end, later):
    saga = release(OLD).saga(*ENDS[end])
    after = release(later)
    one = f"/api/v1/sagas/{saga.id}"
    for path in ("/api/v1/sagas", one, f"{one}/journal", f"{one}/events", "/metrics", "/ready"):
        assert after.client.get(path).status_code == 200, path
    for command in (["list"], ["show", str(saga.id)], ["show", str(saga.id), "--json"]):
        assert str(saga.id)[-8:] in after.run(*command).output
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    page = after.client.get(f"/admin/sagas/{saga.id}")
    assert page.status_code == 200
    assert saga.state in page.text


@pytest.mark.parametrize(
    ("later", "refusal"),
    [
        (OLD.replace("BOOKED", "HELD"), "step 'book': done was BOOKED and is HELD; give the changed table"),
        (OLD.replace('"/pay"', '"/charge"'), "step 'pay': call was POST shop/pay and is POST shop/charge"),
    ],
    ids=["renamed", "edited"],
)  # fmt: skip
def test_table_edited_in_place_under_a_running_saga_is_refused_by_name(release, later, refusal):
    before = release(OLD)
    with before.app.app_context():
        services().runner.tables.compare()
    before.saga(Outcome.SUCCEEDED)
    changed = release(later)
    done = changed.run("start", "trip", "city=Oslo", code=BAD_INPUT)
    assert "the table of trip v1 was changed while 1 unfinished saga(s) of it run by another one" in done.stderr
    assert refusal in done.stderr
    assert versions(before) == [(1, "BOOKED")]


def test_two_releases_side_by_side_leave_each_others_sagas_alone(release):
    old, new = release(OLD), release(OLD, NEW)
    of_old, of_new = old.saga(Outcome.SUCCEEDED), new.saga(Outcome.SUCCEEDED, version=2)
    for each, seen in ((old, {of_old.id}), (new, {of_old.id, of_new.id})):
        leases = services(each.app).runner._leases
        leases.expire_all()
        claimed = leases.claim(10, 30)
        assert {saga.id for saga in claimed} == seen
        for saga in claimed:
            each.store.save(saga, 0, owner=None)
    refused = old.client.post(f"/api/v1/sagas/{of_new.id}/compensate", json={})
    assert refused.status_code == 409
    assert "trip v2 is not defined, so this release does not move the saga" in refused.get_json(force=True)["detail"]
    listed = old.run("list", "--unknown").output
    assert "trip v2: its table is not in this release." in listed


def test_running_saga_of_a_removed_table_is_kept_listed_and_explained(release):
    saga = release(OLD).saga(Outcome.SUCCEEDED)
    after = release(NEW)
    leases = services(after.app).runner._leases
    leases.expire_all()
    assert leases.claim(10, 30) == []
    assert str(saga.id)[-8:] in after.run("list", "--unknown").output
    refused = after.client.post(f"/api/v1/sagas/{saga.id}/compensate", json={})
    assert (refused.status_code, "trip v1 is not defined" in refused.get_json(force=True)["detail"]) == (409, True)
    again = release(OLD, NEW)
    services(again.app).runner._leases.expire_all()
    assert [found.id for found in services(again.app).runner._leases.claim(10, 30)] == [saga.id]
