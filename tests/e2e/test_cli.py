"""The command line as separate processes, with a real database and real participants."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading

import pytest
import requests

from tests.support import forkserver
from tests.support.waiting import TIMEOUT_S, eventually


@pytest.fixture
def store_url(sqlite_template, tmp_path):
    """Use SQLite only; tests/contract/store covers both databases."""
    shutil.copy(sqlite_template, tmp_path / "saga.db")
    return f"sqlite:///{tmp_path / 'saga.db'}"


@pytest.fixture
def environment(store_url, participants):
    known = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    return known | {"DATABASE_URL": store_url, "PARTICIPANTS_URL": participants.url, "LOGNAME": "eve", "LEASE_S": "5"}


@pytest.fixture
def saga(environment):
    """Return a function that runs a command and returns its output. It checks the exit code and the form of errors."""

    def run(*arguments, code=0, stdin=b"", program="app.cli", **settings):
        ended = forkserver.run(program, *arguments, env=environment | settings, stdin=stdin)
        said, complaint = ended.stdout.decode(), ended.stderr.decode()
        assert ended.returncode == code, said + complaint
        if code in (1, 2, 6, 7):
            assert complaint.startswith("saga: ")
            assert (complaint.count("\n"), said) == (1, "")
            return complaint
        assert complaint == ""
        return said

    return run


@pytest.fixture
def started(saga):
    """Return a function that starts a checkout and returns its JSON."""

    def start(client_id, *options, code=0):
        return json.loads(
            saga("start", "checkout", f"client_id={client_id}", "magasin_id=1", "--json", *options, code=code)
        )

    return start


@pytest.fixture
def stuck(started, saga, participants):
    """Return the id of a saga stuck at its pivot.

    When the test starts, the participant works again. At the end the saga is compensated, which releases its goods.
    """
    participants.add_fault("ventes", kind="fail", times=4, method="POST")
    saga_id = started(4, code=5)["id"]
    yield saga_id
    if "! stuck" in saga("show", saga_id):
        saga("compensate", saga_id, "--reason", "the test is over", code=3)


READING = (
    ["export"], ["list"], ["list", "--json"], ["show", "ID"], ["show", "ID", "--json"], ["show", "ID", "--tree"],
    ["watch", "ID"], ["watch", "ID", "--json"], ["stuck"], ["tail", "--since", "600", "--once"],
    ["tail", "--since", "600", "--json"], ["bulk", "list"], ["participants", "list"], ["audit", "list"], ["--help"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_command_ends_silently_when_its_reader_has_ended(environment, started, arguments):
    """`saga watch ID | head` is no error of the program."""
    saga_id = started(4, code=0)["id"]
    reader, writer = os.pipe()
    os.close(reader)
    of_saga = [saga_id if each == "ID" else each for each in arguments]
    command = [sys.executable, "-m", "flask", "--app", "app", "saga", *of_saga]
    ended = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "app"],
        ["-m", "app.cli", "list"],
        ["-m", "flask", "--app", "app", "saga", "list"],
        ["-m", "flask", "--app", "app", "db", "upgrade"],
        ["-m", "flask", "--app", "app", "openapi"],
        ["-m", "celery", "-A", "app.worker", "worker"],
        ["-m", "celery", "-A", "app.worker", "beat"],
        ["wsgi.py"],
    ],
    ids=" ".join,
)
def test_wrong_setting_is_one_line_and_exit_code_2_from_every_command(environment, command):
    ended = subprocess.run(
        [sys.executable, *command], env=environment | {"LEASE_S": "soon"}, capture_output=True, timeout=60, check=False
    )
    complaint = ended.stderr.decode()
    assert (ended.returncode, ended.stdout.decode(), complaint.count("\n")) == (2, "", 1), complaint
    assert complaint.startswith("saga: LEASE_S must be ")


@pytest.mark.parametrize(
    "command",
    [
        ["app.cli", "migrate", "0xyz"],
        *(["flask", "--app", "app", "db", verb, "0xyz"] for verb in ("upgrade", "downgrade")),
    ],
    ids=" ".join,
)
def test_unknown_revision_is_one_line_and_exit_code_2(environment, command):
    ended = subprocess.run(
        [sys.executable, "-m", *command], env=environment, capture_output=True, timeout=60, check=False
    )
    complaint = ended.stderr.decode()
    assert (ended.returncode, ended.stdout.decode(), complaint.count("\n")) == (2, "", 1), complaint
    assert complaint.startswith("saga: Can't locate revision identified by '0xyz'")


def test_seed_starts_one_example_of_every_saga_once(saga):
    assert saga("seed").splitlines() == [
        "checkout v1: completed", "commande v1: completed", "order_saga v1: completed",
        "purchase_saga v2: completed", "return_saga v2: compensated",
    ]  # fmt: skip
    assert all(line.endswith(" (started before)") for line in saga("seed").splitlines())
    assert len(saga("list", "--json").splitlines()) == 5


def test_start_reports_the_end_of_the_saga_by_its_exit_code(saga, started, participants):
    shown = started(4)
    assert (shown["status"], shown["state"]) == ("completed", "CONFIRMEE")
    assert set(participants.effects(shown["id"]).values()) == {"done"}
    shown = started(2, code=3)
    assert (shown["status"], shown["state"]) == ("compensated", "ANNULEE")
    text = saga("start", "checkout", "--data", "-", code=3, stdin=b'{"client_id": 1, "magasin_id": 1}')
    assert text.startswith("■ compensated in ANNULEE (cancelled)  checkout v1\n")
    assert "Reserve the goods (reserver_stock): 409" in text
    participants.assert_balanced()


def test_started_saga_is_durable_and_a_service_ends_it_after_the_wait(started, orchestrator, saga, participants):
    participants.add_fault("client", kind="fail", times=1)
    shown = started(4, "--wait", "0", code=4)
    assert shown["status"] == "in_progress"
    orchestrator()
    assert saga("watch", shown["id"]).endswith("✓ completed in CONFIRMEE (confirmed)  checkout v1\n")
    participants.assert_balanced()


def test_one_key_starts_one_saga(saga, started):
    first = started(4, "--key", "monday")
    assert started(4, "--key", "monday")["id"] == first["id"]
    again = saga("start", "checkout", "client_id=4", "magasin_id=1", "--key", "monday")
    assert "An earlier command with this key started the saga; this command changed nothing." in again
    assert "other data" in saga("start", "checkout", "client_id=2", "magasin_id=1", "--key", "monday", code=7)


def test_retry_completes_a_stuck_saga_and_is_recorded(saga, stuck, participants):
    assert "a person must decide" in saga("watch", stuck, code=5)
    shown = json.loads(saga("retry", stuck[-8:], "--reason", "ventes is back", "--json"))
    assert (shown["id"], shown["status"]) == (stuck, "completed")
    journal = json.loads(saga("show", stuck, "--json"))["journal"]
    asked = [(move["actor"], move["reason"]) for move in journal if move["trigger"] == "retry" and not move["step"]]
    account = pwd.getpwuid(os.getuid()).pw_name
    assert asked == [(f"cli:{account}", "ventes is back")], "LOGNAME, which anybody can set, is not believed"
    assert "its pivot enregistrer_vente has succeeded" in saga("compensate", stuck, "--reason", "x", code=7)
    participants.assert_balanced()


def test_compensate_undoes_a_stuck_saga_and_is_recorded(saga, stuck, participants):
    text = saga("compensate", stuck, "--reason", "not sold", "--actor", "bob", code=3)
    assert text.startswith("■ compensated in ANNULEE")
    assert "cli:bob: not sold" in saga("show", stuck)
    assert "everything is undone" in saga("retry", stuck, "--reason", "x", code=7)
    participants.assert_balanced()


def step_of(shown, name):
    return next(step for step in shown["steps"] if step["type"] == name)


def test_resolve_continues_after_a_step_done_by_hand(saga, stuck, participants):
    assert "--reply: no JSON" in saga("resolve", stuck, "--reason", "x", "--reply", "{", code=2)
    sale = step_of(json.loads(saga("show", stuck, "--json")), "enregistrer_vente")["input_data"]
    key = {"Idempotency-Key": f"{stuck}/by-hand/do"}
    recorded = requests.post(f"{participants.url}/ventes/ventes", json=sale, headers=key, timeout=5).json()
    reply = json.dumps({"vente_id": recorded["vente_id"]})
    shown = json.loads(saga("resolve", stuck, "--reason", "in the books", "--reply", reply, "--json"))
    assert shown["status"] == "completed"
    step = step_of(shown, "enregistrer_vente")
    assert (step["status"], step["outcome"], step["output_data"]) == ("completed", "unknown", json.loads(reply))
    assert "in the books" in saga("show", stuck)
    participants.assert_balanced()


def test_list_filters_and_prints_one_line_per_saga_for_scripts(saga, started, stuck):
    completed, compensated = started(4), started(2, code=3)

    def listed(*filters):
        return [json.loads(line)["id"] for line in saga("list", "--json", *filters).splitlines()]

    assert listed() == [compensated["id"], completed["id"], stuck]
    assert listed("--limit", "1") == [compensated["id"]]
    assert listed("--stuck") == listed("--status", "stuck") == listed("--state", "STUCK_ENREGISTRER_VENTE") == [stuck]
    assert listed("--client", "2", "--store", "1", "--type", "checkout") == [compensated["id"]]
    assert listed("--client", "999") == listed("--type", "purchase_saga") == []
    assert [line.split()[0] for line in saga("list", COLUMNS="80").splitlines()[1:4:2]] == [
        compensated["id"][-8:],
        completed["id"][-8:],
    ]


def test_show_draws_for_people_and_prints_api_json_for_scripts(saga, started):
    saga_id = started(4)["id"]
    whole = json.loads(saga("show", saga_id, "--json"))
    assert [step["status"] for step in whole["steps"]] == ["completed"] * 5
    text = saga("show", saga_id[:4], COLUMNS="80")
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "\x1b[" in saga("show", saga_id, FORCE_COLOR="1")
    assert "\x1b" not in saga("show", saga_id, FORCE_COLOR="1", NO_COLOR="1")
    assert "completed in CONFIRMEE" in saga("show", saga_id, PYTHONIOENCODING="ascii")


def test_watch_prints_every_move_until_the_end(saga, started, orchestrator, participants):
    participants.add_fault("panier", kind="slow", seconds=1, times=1)
    participants.add_fault("client", kind="fail", times=1)
    saga_id = started(4, "--wait", "0", code=4)["id"]
    threading.Timer(1, orchestrator).start()
    lines = saga("watch", saga_id, "--interval", "0.05", "--json").splitlines()
    moves = [json.loads(line) for line in lines]
    assert [move["seq"] for move in moves] == list(range(1, len(moves) + 1))
    assert moves[-1]["dest"] == "CONFIRMEE"
    saga("watch", started(2, code=3)["id"], code=3)


def interruptible(environment, *arguments):
    """Start a command that SIGINT can interrupt, even when the tests run in the background and ignore SIGINT."""
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  no threads are running
    )  # fmt: skip


def test_ctrl_c_ends_with_130_and_leaves_the_saga_to_the_service(environment, participants, saga, orchestrator):
    def reserved():
        return {row["saga_id"] for row in participants.get("/stock/_ledger")}

    before = reserved()
    participants.add_fault("client", kind="slow", seconds=4, times=1)
    starting = interruptible(environment, "start", "checkout", "client_id=4", "magasin_id=1")
    (saga_id,) = eventually(lambda: reserved() - before, "its goods are reserved")
    starting.send_signal(signal.SIGINT)
    assert b"a service continues it" in starting.communicate(timeout=TIMEOUT_S)[1]
    assert starting.returncode == 130
    watching = interruptible(environment, "watch", saga_id, "--json")
    watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    assert watching.communicate(timeout=TIMEOUT_S)[1] == b""
    assert watching.returncode == 130
    orchestrator()
    # On a slow machine all attempts of a call may time out, and then the saga is compensated.
    ends = ("completed", "compensated")
    eventually(lambda: json.loads(saga("show", saga_id, "--json"))["status"] in ends, "it ends")
    participants.assert_balanced()


def test_flask_has_the_command_and_its_help_needs_no_database(saga):
    assert saga("--app", "app", "saga", "list", program="flask") == "No sagas match these filters.\n"
    nowhere = {"DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}
    assert "3  compensated" in saga("--help", **nowhere)
    assert "--client: It has a lone surrogate" in saga("list", "--client", b"\xff", code=2)
    assert "DATABASE_URL must begin" in saga("list", code=2, DATABASE_URL="x")
    assert "--wait" in saga("start", "--help", **nowhere)


def test_prune_moves_journals_into_the_archive(saga, environment, started, tmp_path):
    kept = started(4)["id"]
    archive = tmp_path / "archive.jsonl"
    assert saga("prune", "--days", "1", "--archive", str(archive)) == "0 deleted\n"
    assert [json.loads(line)["dest"] for line in saga("export").splitlines()][0::5] == ["INITIEE", "CONFIRMEE"]
    assert saga("prune", "--days", "0.0000001", "--dry-run") == "1 would be deleted\n"
    saga("prune", "--days", "0.0000001", "--archive", "/nowhere/archive.jsonl", code=2)
    saga("show", kept)
    prune = ["app.cli", "prune", "--days", "0.0000001", "--archive", str(archive)]
    ended = forkserver.run(*prune, env=environment)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"1 deleted\n", "1 deleted …\n".encode())
    lines = [json.loads(line) for line in archive.read_text().splitlines()]
    assert {line["saga_id"] for line in lines} == {kept}
    assert lines[0]["data"] == {"client_id": 4, "magasin_id": 1}
    saga("show", kept, code=6)
    assert saga("export") == ""
