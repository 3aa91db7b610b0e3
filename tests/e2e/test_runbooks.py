"""The commands of the runbooks and of the pruning of sagas, run as they stand against a service with a stuck saga.

Only what a reader replaces is replaced: the marks as `<id>`, and the addresses. Commands of Docker need an engine, so
they are not run.
"""

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import requests

from tests.support.documented import Shell, blocks

pytestmark = pytest.mark.programs
ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs" / "operations.md"
RUNBOOKS = ROOT / "docs" / "runbooks"
#: Runbook → a part of the output of its commands.
SHOWS = {
    "SagaBreakerOpen": 'saga_breaker_state{participant="ventes"} 0',
    "SagaCompensationRateHigh": "checkout",
    "SagaDatabaseDown": '"status":"ready"',
    "SagaDefinitionUnknown": "checkout",
    "SagaOverstayed": "enregistrer_vente",
    "SagaParticipantFailing": "200 OK",
    "SagaRecoveryNotRunning": "",
    "SagaReplicaDown": "200 OK",
    "SagaServiceDown": '"status":"ready"',
    "SagaStuck": '"enregistrer_vente"',
    "SagaWaitLate": "enregistrer_vente",
}


@pytest.fixture
def store_url(request):
    yield from request.getfixturevalue("postgres_pool").lend()


@pytest.fixture
def stuck(orchestrator, participants):
    """Start a service with keys, and a saga that is stuck at its pivot. Return the service, a key and the saga."""
    server = orchestrator(API_AUTH="on")
    command = [sys.executable, "-m", "app.cli", "key", "add", "operator", "--scope=read", "--scope=start"]
    made = subprocess.run(command, env=dict(server.environment), capture_output=True, text=True, check=True)
    key = made.stdout.strip()
    participants.add_fault("ventes", kind="fail", times=4, method="POST")
    started = requests.post(
        f"{server.url}/api/v1/sagas/checkout", json={"client_id": 4, "magasin_id": 1},
        headers={"X-API-Key": key, "Prefer": "wait=20"}, timeout=60,
    )  # fmt: skip
    saga = started.json()
    assert saga["state"].startswith("STUCK"), saga
    return server, key, saga


@pytest.fixture
def shell(stuck, participants):
    server, key, saga = stuck
    environment = dict(server.environment) | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # The form of a URL that psql takes too.
        "DATABASE_URL": server.environment["DATABASE_URL"].replace("+psycopg2", ""),
        "KEY": key,
    }
    shell = Shell(ROOT, environment)
    marks = {
        "<id>": saga["id"], "<saga>": "checkout", "<state>": saga["state"],
        "<the participant's URL>": f"{participants.url}/ventes",
        "http://<instance>": server.url, "http://localhost:8009": server.url,
    }  # fmt: skip
    pattern = re.compile("|".join(map(re.escape, marks)))
    yield lambda text: shell.run(pattern.sub(lambda found: marks[found[0]], text))
    shell.close()


def commands(page: str) -> str:
    return local_lines((RUNBOOKS / f"{page}.md").read_text())


def local_lines(text: str) -> str:
    """Return the commands of the bash blocks, without those of Docker."""
    lines = "".join(block.text for block in blocks(text) if block.language == "bash").splitlines()
    return "\n".join(line for line in lines if not line.startswith("docker "))


def test_every_runbook_with_commands_is_run():
    assert {page.stem for page in RUNBOOKS.glob("*.md") if commands(page.stem)} == set(SHOWS)


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_commands_of_every_runbook_run_as_they_stand(shell):
    for page, shows in SHOWS.items():
        assert shows in shell(commands(page)), page


def test_a_stuck_saga_is_solved_by_the_commands_of_its_runbook(shell):
    text = (RUNBOOKS / "SagaStuck.md").read_text()
    retry = re.search(r"`(flask --app app saga retry [^`]+)`", text)[1]
    assert "completed" in shell(retry)
    assert "cli:" in shell(re.search(r"`(flask --app app saga audit list)`", text)[1])


def test_commands_that_prune_and_export_run_as_they_stand(shell, stuck, tmp_path):
    server, _, saga = stuck
    shell('flask --app app saga retry <id> --reason "the test"')
    with closing(psycopg2.connect(server.environment["DATABASE_URL"])) as connection, connection:
        past = "now() - interval '91 days'"
        connection.cursor().execute(f"UPDATE saga SET created_at = {past}, updated_at = {past}")
    section = OPERATIONS.read_text().partition("\n## Retention\n")[2]
    block = next(block.text for block in blocks(section) if "saga prune" in block.text)
    shell(re.sub(r"\w+\.jsonl", lambda found: f"{tmp_path}/{found[0]}", block))
    assert saga["id"] in (tmp_path / "sagas.jsonl").read_text()
    assert (tmp_path / "journal.jsonl").read_text() == ""  # the export is the last command, after the pruning
