"""The barriers of docs/examples/barriers keep every line of the contract, on PostgreSQL, also after a kill -9."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest
import requests
from click.testing import CliRunner

from app.cli.__main__ import command_line
from participants.barrier.dbapi import CREATE, Barrier
from tests.support.waiting import HOST, eventually, restartable_port

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[2]
EXAMPLES, NODE = ROOT / "docs" / "examples" / "barriers", ROOT / "participants" / "barrier" / "node"
SERVICES = {
    "flask_sqlalchemy": [sys.executable, EXAMPLES / "flask_sqlalchemy_app.py"],
    "plain_sqlalchemy": [sys.executable, EXAMPLES / "plain_sqlalchemy.py"],
    "node": ["node", EXAMPLES / "airline.js"],
    "fastapi": ["", EXAMPLES / "fastapi_app.py"],
    "django": ["", EXAMPLES / "django_app.py"],
}
#: Services whose packages are installed in an environment of their own.
OWN_PACKAGES = ("fastapi", "django")


@pytest.fixture(scope="session")
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a virtual environment with the packages of the examples, and a copy of the barrier for any framework."""
    folder = tmp_path_factory.mktemp("barriers")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env/bin/python"
    install = [python, "-m", "pip", "install", "--quiet", "-r", EXAMPLES / "requirements.txt"]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"the packages of the examples cannot be installed: {installed.stderr.strip()[-300:]}")
    (folder / "barrier").mkdir()
    for name in ("rules.py", "dbapi.py"):
        shutil.copy(ROOT / "participants/barrier" / name, folder / "barrier" / name)
    (folder / "barrier/__init__.py").touch()
    return folder


@pytest.fixture(scope="session")
def node_packages() -> None:
    """Install pg for the barrier of Node."""
    if not (NODE / "node_modules" / "pg").exists():
        installed = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=NODE, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if installed.returncode:
            pytest.skip(f"npm cannot install pg: {installed.stderr.strip()[-300:]}")


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Start the service; return its URL and a shell command that kills it and starts it again."""
    command, code = SERVICES[request.param], ROOT
    if request.param == "node":
        request.getfixturevalue("node_packages")
    elif request.param in OWN_PACKAGES:
        code = request.getfixturevalue("own_environment")
        command = [code / "env/bin/python", *command[1:]]
    port, pid_file, script = restartable_port(), tmp_path / "pid", tmp_path / "restart.sh"
    environment = {"DATABASE_URL": postgres_url, "PORT": str(port), "PYTHONPATH": str(code), "BARRIER": str(NODE)}
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    script.write_text(
        f"[ -f {pid_file} ] && kill -9 $(cat {pid_file})\n"
        f"{settings} {shlex.join(map(str, command))} >>{tmp_path}/log 2>&1 </dev/null &\n"
        f"echo $! > {pid_file}\n"
    )
    subprocess.run(["sh", script], check=True)
    url = f"http://{HOST}:{port}"

    def answers() -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{url}/bookings", timeout=2).ok
        return False

    try:
        eventually(answers, f"the service answers; see {tmp_path}/log", 60)
        yield url, f"sh {shlex.quote(str(script))}"
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


def test_service_behind_a_barrier_keeps_every_line(service):
    url, restart = service
    result = CliRunner().invoke(command_line(), [
        "conform", "seat.hold", "--sagas", str(Path(__file__).parent / "conform_participant" / "sagas"), "--url", url,
        "--look", "/bookings", "--refused", "city=Atlantis", "--crash", restart, "--json",
    ])  # fmt: skip
    found = {line["name"]: (line["verdict"], line["why"]) for line in json.loads(result.stdout)["lines"]}
    assert {name: each for name, each in found.items() if each[0] != "kept"} == {}
    assert result.exit_code == 0
    assert requests.get(f"{url}/bookings", timeout=5).json() == {"bookings": []}


def test_node_barrier_prunes_what_no_call_needs_any_more(postgres_url, node_packages):
    assert shutil.which("node")
    script = f"""
        const {{ Barrier }} = require({json.dumps(str(NODE))});
        const {{ Pool }} = require({json.dumps(str(NODE / "node_modules" / "pg"))});
        (async () => {{
          const pool = new Pool({{ connectionString: {json.dumps(postgres_url)} }});
          const barrier = new Barrier(pool);
          await barrier.create();
          const act = async () => [200, {{}}];
          const key = (text) => ({{ "idempotency-key": text }});
          await barrier.do(key("kept/put/do"), "POST /", {{}}, act);
          await barrier.undo(key("tombstone/put/undo"), act);
          await pool.query("UPDATE barrier_ledger SET at = now() - interval '8 days'");
          await barrier.do(key("young/put/do"), "POST /", {{}}, act);
          const day = 24 * 3600;
          await barrier.prune({{ lateCallS: -5, lateUndoS: -1 }}).catch((error) => console.log(error.name));
          console.log(await barrier.prune({{ lateCallS: 7 * day, lateUndoS: 90 * day }}));
          await pool.end();
        }})();
    """
    assert (
        subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True).stdout == "RangeError\n2\n"
    )
    with psycopg2.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT key FROM barrier_ledger ORDER BY key")
        assert [key for (key,) in cursor.fetchall()] == ["kept/put/do", "young/put/do"]


def test_dbapi_barrier_prunes_what_no_call_needs_any_more(postgres_url):

    with psycopg2.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute(CREATE)
        barrier = Barrier(cursor)
        barrier.do({"Idempotency-Key": "kept/put/do"}, "POST /", {}, lambda: (200, {}))
        barrier.undo({"Idempotency-Key": "tombstone/put/undo"}, lambda _done: (200, {}))
        cursor.execute("UPDATE barrier_ledger SET at = now() - interval '8 days'")
        with pytest.raises(ValueError, match="must not be negative"):
            barrier.prune(late_call=timedelta(days=-5), late_undo=timedelta(days=-1))
        assert barrier.prune(late_call=timedelta(days=7), late_undo=timedelta(days=90)) == 2
        cursor.execute("SELECT key FROM barrier_ledger")
        assert cursor.fetchall() == [("kept/put/do",)]
