"""`saga conform` against participants as real processes: a plain one in Node with planted faults, and our own."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import requests
from click.testing import CliRunner, Result

from app.cli.__main__ import command_line
from app.conform.bench import Bench
from app.conform.lines import LINES, Finding
from app.conform.running import findings
from machines.participant_kinds import ParticipantKind
from tests.support.waiting import HOST, eventually, restartable_port

pytestmark = pytest.mark.programs

HERE = Path(__file__).parent / "conform_participant"
TOKEN = {"Authorization": "Bearer conform-token"}
#: Planted fault → the line of the contract that it breaks.
FAULTS = {
    "text-reply": "done", "one-for-all": "other-key", "again": "same-key", "other-body": "other-body",
    "race": "at-once", "hang-up": "lost-reply", "undo-nothing": "undo", "undo-once": "undo-twice", "late": "late-do",
    "unknown": "undo-unknown", "no-tombstone": "undo-before-do", "probe": "probe", "forget-refusal": "refused-again",
    "refused-undo": "undo-refused", "memory": "crash", "broken-json": "odd-body", "huge": "huge-body",
    "one-at-a-time": "slow-client", "refusal-books": "refused-again", "odd-books": "odd-body", "late-books": "late-do",
    "undo-another": "undo-unknown", "keep-fee": "undo", "undo-race": "undo-at-once",
    "undo-all": "undo", "undo-oldest": "undo", "undo-newest": "undo", "undo-two": "undo",
    "probe-other-id": "probe", "probe-undone": "probe-undone", "undo-again": "undos-at-once",
    "undo-memory": "crash-undo", "undo-error": "undo",
    "refused-200": "refused-again",
}  # fmt: skip


def conform(*arguments: str, sagas: str | Path | None = None, **environment: str) -> Result:
    options = ["--sagas", str(sagas)] if sagas else []
    return CliRunner().invoke(command_line(), ["conform", *arguments, *options], env=environment)


@dataclass
class Airline:
    """The participant in Node. `restart` is a command of the shell that kills it and starts it again."""

    url: str
    restart: str
    pid_file: Path

    def plant(self, fault: str) -> None:
        requests.post(f"{self.url}/fault", json={"name": fault}, headers=TOKEN, timeout=5).raise_for_status()

    def answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/bookings", headers=TOKEN, timeout=2).ok
        return False

    def conform(self, *arguments: str, look: tuple[str, ...] = ("--look", "/bookings")) -> Result:
        return conform(
            "seat.hold", "--url", self.url, *look, "--refused", "city=Atlantis", *arguments,
            sagas=HERE / "sagas", PARTICIPANT_AIRLINE_AUTH="bearer", PARTICIPANT_AIRLINE_AUTH_TOKEN="conform-token",
        )  # fmt: skip


@pytest.fixture(scope="module")
def airline_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airline]:
    folder, port = tmp_path_factory.mktemp("airline"), restartable_port()
    pid_file, script = folder / "pid", folder / "restart.sh"
    script.write_text(
        f"[ -f {pid_file} ] && kill -9 $(cat {pid_file})\n"
        f"PORT={port} STATE={folder}/state.json node {HERE}/participant.js >>{folder}/log 2>&1 </dev/null &\n"
        f"echo $! > {pid_file}\n"
    )
    restart = f"sh {shlex.quote(str(script))}"
    airline = Airline(f"http://{HOST}:{port}", restart, pid_file)
    subprocess.run(restart, shell=True, check=True)
    try:
        eventually(airline.answers, "the participant listens")
        yield airline
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


@pytest.fixture
def airline(airline_process: Airline) -> Iterator[Airline]:
    yield airline_process
    eventually(airline_process.answers, "the participant listens after its crash")
    airline_process.plant("")


#: Faults of calls that meet: they are planted for their line alone, whose calls are waited for.
MEETINGS = ("race", "hang-up", "undo-race", "undo-again")


@pytest.fixture
def plant(airline: Airline, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that plants a fault for a whole run, or for its line alone."""

    def planted(fault: str) -> None:
        names = list(LINES)

        def armed(bench: Bench, kind: ParticipantKind) -> Iterator[Finding]:
            for each in findings(bench, kind):
                is_next = names[names.index(each.line.name) + 1 :][:1] == [FAULTS[fault]]
                airline.plant(fault if is_next else "")
                yield each

        if fault in MEETINGS:
            monkeypatch.setattr("app.cli.conform.findings", armed)
        else:
            airline.plant(fault)

    return planted


def verdicts(result: Result) -> dict[str, str]:
    lines = json.loads(result.stdout)["lines"]
    return {line["name"]: line["verdict"] for line in lines}


def test_participant_with_a_barrier_keeps_every_line(airline):
    result = airline.conform("--json", "--crash", airline.restart)
    assert set(verdicts(result).values()) == {"kept"}, result.output
    assert result.exit_code == 0
    assert json.loads(result.stdout)["found_kind"] == "barrier"
    assert requests.get(f"{airline.url}/bookings", headers=TOKEN, timeout=5).json() == [], "every booking is undone"


@pytest.mark.parametrize(("fault", "line"), FAULTS.items())
def test_planted_fault_is_found_on_its_own_line(airline, plant, fault, line):
    plant(fault)
    look = ("--look", "/balance" if fault in ("keep-fee", "undo-again") else "/bookings")
    result = airline.conform("--json", *(["--crash", airline.restart] if "memory" in fault else []), look=look)
    assert result.exit_code == 1, result.output
    assert [name for name, verdict in verdicts(result).items() if verdict == "not kept"] == [line]
    broken = next(each for each in json.loads(result.stdout)["lines"] if each["name"] == line)
    assert broken["why"]
    assert broken["exchanges"][0]["request"]["url"].startswith(airline.url)


def test_refusal_with_an_effect_is_found_by_the_probe_when_there_is_no_look(airline):
    airline.plant("refusal-books")
    lines = {line["name"]: line for line in json.loads(airline.conform("--json", look=()).stdout)["lines"]}
    assert lines["refused-again"]["verdict"] == "not kept"
    assert lines["refused-again"]["why"] == "the call is refused, but has an effect, as the probe says"


def test_refusal_that_is_answered_as_done_is_found_by_the_probe_when_there_is_no_look(airline):
    airline.plant("refused-200")
    lines = {line["name"]: line for line in json.loads(airline.conform("--json", look=()).stdout)["lines"]}
    assert lines["refused-again"]["verdict"] == "not kept"
    assert lines["refused-again"]["why"].startswith("the data of --refused are answered as done, but nothing is done")


def test_undo_that_takes_back_the_bookings_of_others_fails_every_kind(airline):
    airline.plant("undo-another")
    result = airline.conform("--kind", "none")
    assert result.exit_code == 1, result.output
    assert result.stdout.splitlines()[-1].endswith("no table can use it safely.")


@pytest.mark.parametrize("fault", ["undo-all", "undo-oldest", "undo-newest", "undo-two"])
def test_undo_of_another_saga_is_found_among_bookings_that_were_there_before(airline, fault):
    keys = [{"Idempotency-Key": f"before-{fault}-{number}/hold/do"} for number in range(2)]
    for key in keys:
        requests.post(f"{airline.url}/bookings", json={"city": "Oslo"}, headers=TOKEN | key, timeout=5)
    airline.plant(fault)
    lines = {line["name"]: line for line in json.loads(airline.conform("--json").stdout)["lines"]}
    assert lines["undo"]["verdict"] == "not kept"
    assert lines["undo"]["why"].startswith("the undo takes back what another saga has done, as --look shows: *: ")
    airline.plant("")
    for key in keys:
        undo = {"Idempotency-Key": key["Idempotency-Key"].replace("/do", "/undo")}
        requests.post(f"{airline.url}/bookings/undo", headers=TOKEN | undo, timeout=5)


def test_undo_of_another_saga_is_found_by_the_probe_when_there_is_no_look(airline):
    airline.plant("undo-marks-all")
    lines = {line["name"]: line for line in json.loads(airline.conform("--json", look=()).stdout)["lines"]}
    assert [name for name, line in lines.items() if line["verdict"] == "not kept"] == ["undo"]
    assert lines["undo"]["why"] == "the undo takes back what another saga has done, as the probe says"


def test_each_finding_is_written_before_the_next_line_is_tried(airline, monkeypatch):
    written = []

    def watched(bench, kind):
        for each in findings(bench, kind):
            yield each
            written.append((each.line.name, sys.stdout.buffer.getvalue().decode()))

    monkeypatch.setattr("app.cli.conform.findings", watched)
    assert airline.conform().exit_code == 0
    assert written
    assert [name for name, shown in written if f"  {name} " not in shown] == []


def test_two_effects_are_counted_in_the_text(airline):
    airline.plant("again")
    assert "--look shows 2 effects where one effect was expected" in airline.conform().stdout


def test_participant_that_does_not_come_back_after_the_hook_is_said_on_the_line_of_the_crash(airline, monkeypatch):
    monkeypatch.setattr("app.conform.running._COME_BACK_S", 0.5)
    result = airline.conform("--json", "--patience", "1", "--crash", f"kill -9 $(cat {airline.pid_file})")
    subprocess.run(airline.restart, shell=True, check=True)
    lines = {line["name"]: line for line in json.loads(result.stdout)["lines"]}
    assert result.exit_code == 1
    assert [name for name, line in lines.items() if line["verdict"] == "not kept"] == ["crash"]
    assert lines["crash"]["why"].startswith("the participant did not come back after the hook")
    for name in ("odd-body", "huge-body", "slow-client"):
        assert (lines[name]["verdict"], lines[name]["why"]) == (
            "not tried", "the participant does not answer any more, since the line crash",
        )  # fmt: skip


def test_broken_line_is_shown_with_request_and_reply_but_without_secrets(airline):
    airline.plant("undo-once")
    result = airline.conform()
    assert result.exit_code == 1
    assert "not kept   undo-twice" in result.stdout
    assert "the saga would be stuck: 409 it is undone already" in result.stdout
    assert f"> undo: POST {airline.url}/bookings/undo" in result.stdout
    assert '< 409 {"detail":"it is undone already"}  (refused, ' in result.stdout
    assert '{"card":"***","city":"Oslo"}' in result.stdout
    assert "4111-secret" not in result.output
    assert "conform-token" not in result.output


def test_junit_file_has_a_case_for_each_line(airline, tmp_path):
    airline.plant("undo-once")
    airline.conform("--junit", str(tmp_path / "junit.xml"))
    suite = ET.parse(tmp_path / "junit.xml").getroot()
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert set(cases) == {*FAULTS.values()}
    assert cases["undo-twice"] == ["failure"]
    assert cases["crash"] == ["skipped"]
    assert cases["same-key"] == []
    assert "409" in (suite.find("testcase[@name='undo-twice']/failure").get("message"))


def test_lines_that_the_kind_need_not_keep_do_not_fail(airline):
    airline.plant("late")
    result = airline.conform("--kind", "key")
    assert result.exit_code == 0
    assert "(kind key need not)" in result.stdout
    assert "It keeps idempotency keys, but no barrier" in result.stdout


def test_participant_without_keys_gets_the_advice_to_send_once(airline):
    airline.plant("again")
    result = airline.conform("--kind", "none")
    assert result.exit_code == 0
    assert "It keeps no idempotency keys: use retry=NEVER" in result.stdout


def test_equal_replies_prove_nothing_without_a_look(airline):
    result = conform(
        "seat.hold", "--url", airline.url, "--json", sagas=HERE / "sagas",
        PARTICIPANT_AIRLINE_AUTH="bearer", PARTICIPANT_AIRLINE_AUTH_TOKEN="conform-token",
    )  # fmt: skip
    found = verdicts(result)
    assert (found["same-key"], found["lost-reply"], found["refused-again"]) == ("kept", "not tried", "not tried")


@pytest.mark.parametrize(("arguments", "words"), [
    (["seat.held", "--url", "http://127.0.0.1:1"], "seat has no step 'held' that calls; take one of hold."),
    (["sofa.hold", "--url", "http://127.0.0.1:1"], "there is no saga 'sofa'; take one of seat."),
    (["seat.hold", "--url", "http://shop.example"], "shop.example is not this machine. The trials book for real;"),
    (["seat.hold", "--url", "hotel=http://127.0.0.1:1"], "the URL of airline is missing."),
    (["seat.hold", "--url", "http://127.0.0.1:1", "--look", "bookings"], "'bookings' must be a path"),
    (["seat.hold", "--url", "http://127.0.0.1:1", "--undo", "POST /x"], "step hold has an undo in the table"),
    (["seat.hold", "--url", "http://127.0.0.1:1", "--reply", "x"], "'x' is no STEP=JSON; the steps are hold."),
    (["seat.hold", "--url", "http://127.0.0.1:1", "town=Oslo"], "Try: saga conform seat.hold --url URL city=Oslo"),
    (["seat.hold", "--url", "http://127.0.0.1:1", "--patience", "nan"], "'nan' is no number."),
    (["seat.hold", "--url", "http://127.0.0.1:1"], "127.0.0.1:1 refused the connection"),
])  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(arguments, words):
    result = conform(*arguments, sagas=HERE / "sagas")
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def own_participants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Start `python -m participants`; return its URL and a command that kills it and starts it again."""
    folder, port = tmp_path_factory.mktemp("own"), restartable_port()
    pid_file, script = folder / "pid", folder / "restart.sh"
    start = f"{sys.executable} -m participants --port {port} --data {folder / 'data'} --restock 0"
    script.write_text(
        f"[ -f {pid_file} ] && kill -9 -$(cat {pid_file})\n"
        f"cd {Path.cwd()} && setsid {start} >>{folder / 'log'} 2>&1 </dev/null &\necho $! > {pid_file}\n"
        f"until curl -fs http://{HOST}:{port}/stock/health; do sleep 0.1; done\n"
    )
    subprocess.run(["sh", script], check=True)
    try:
        yield f"http://{HOST}:{port}", f"sh {shlex.quote(str(script))}"
    finally:
        os.killpg(int(pid_file.read_text()), signal.SIGKILL)


TOO_MANY = ('produits=[{"produit_id":"789","quantite":1000}]',)
#: Step → its participant, other participants that it needs, and data that it refuses.
OWN = {
    "order_saga.creer_commande": ("commandes", (), ()),
    "order_saga.reserver_inventaire": ("stock", ("catalogue",), TOO_MANY),
    "order_saga.payer": ("client", ("catalogue",), TOO_MANY),
    "order_saga.envoyer_recu": ("recus", ("catalogue", "commandes"), ()),
    "purchase_saga.CREATE_SALE": ("ventes", (), ()),
    "purchase_saga.UPDATE_INVENTORY": ("stock", (), ()),
    "purchase_saga.RESERVE_INVENTORY": ("stock", (), ()),
    "purchase_saga.PROCESS_PAYMENT": ("client", (), ()),
    "order_saga.vendre_inventaire": ("stock", ("catalogue",), ()),
    "checkout.reserver_stock": ("stock", ("panier",), ()),
    "checkout.payer": ("client", ("panier", "stock"), ()),
    "checkout.enregistrer_vente": ("ventes", ("panier", "stock", "client"), ()),
    "commande.reserver_stock": ("stock", ("catalogue",), ()),
    "commande.creer_commande": ("commandes", ("catalogue", "stock"), ()),
}  # fmt: skip


@pytest.mark.parametrize("step", OWN)
def test_own_participants_keep_their_contract(own_participants, step):
    url, _ = own_participants
    name, others, refused = OWN[step]
    result = conform(
        step, "--url", f"{url}/{name}", "--look", "/_balance", "--json",
        *(f"--url={other}={url}/{other}" for other in others), *(f"--refused={each}" for each in refused),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "not kept" not in verdicts(result).values(), result.output
