"""The installed wheel, without the repository: `saga` runs in an empty folder, with the tables of another folder."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.support.servers import OPEN
from tests.support.waiting import eventually, free_port

pytestmark = pytest.mark.programs
ROOT = Path(__file__).parents[2]
TABLE = """
from machines import Saga, compensatable, delete, pivot, post, text

TRIP = Saga(
    name="trip", version=1, initial="ASKED", completed="PAID", compensated="CALLED_OFF",
    data={"city": text()}, participants=("fly",),
    steps=(
        compensatable("book", post("fly", "/bookings", city="city", keeps={"id": text()}), repeatable=True,
                      undo=delete("fly", "/bookings/{book.id}"), done="BOOKED", refused="FULL"),
        pivot("pay", post("fly", "/pay"), done="PAID", refused="DECLINED"),
    ),
)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Install the wheel and return its folder. Its dependencies come from the environment of the tests."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("app", "machines", "diagrams", "migrations"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE", "wsgi.py"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return target


@pytest.fixture
def saga(installed, tmp_path):
    """Return a function that runs the command `saga` in an empty folder."""
    folder, tables = tmp_path / "empty", tmp_path / "tables"
    folder.mkdir()
    tables.mkdir()
    (tables / "trip.py").write_text(TABLE)
    port = free_port()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed), "SAGAS": str(tables), "PORT": str(port)} | OPEN

    def run(*arguments: str, start: bool = False):
        command = [sys.executable, str(installed / "bin" / "saga"), *arguments]
        if start:
            return subprocess.Popen(command, cwd=folder, env=environ), f"http://127.0.0.1:{port}"
        return subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_installed_service_runs_sagas_of_an_own_folder(saga):
    migrated = saga("migrate")
    assert migrated.returncode == 0, migrated.stderr
    serving, url = saga("serve", start=True)
    try:
        eventually(lambda: _status(f"{url}/ready") == 200, "the service is ready", 60)
        started = json.loads(_post(f"{url}/api/v1/sagas/trip", {"city": "Oslo"}))
        assert (started["type"], started["status"]) == ("trip", "in_progress")
        assert _status(f"{url}/static/admin/admin.css") == 200
        assert _status(f"{url}/diagrams/trip.svg") == 200
        assert _status(f"{url}/api/commande/checkout") == 404
        listed = saga("list")
        assert started["id"] in listed.stdout, listed.stderr
    finally:
        serving.terminate()
        serving.wait(60)


def test_command_and_wheel_have_one_version(installed, saga):
    (wheel,) = distributions(name="saga-orchestrator", path=[str(installed)])
    assert saga("--version").stdout == f"saga {wheel.version}\n"


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_installed_command_starts_the_processes_of_a_broker(saga, role):
    ended = saga(role)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "saga: set BROKER_URL to the broker that brings the messages\n"


def test_strict_type_checker_reads_the_language_from_the_wheel(installed, tmp_path):
    (tmp_path / "trip.py").write_text(TABLE)
    (tmp_path / "wrong.py").write_text(TABLE.replace("version=1", 'version="one"'))
    checker = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    right, wrong = (
        subprocess.run(
            [*checker, name], cwd=tmp_path, env=os.environ | {"MYPYPATH": str(installed)}, capture_output=True,
            text=True, check=False, timeout=300,
        )
        for name in ("trip.py", "wrong.py")
    )  # fmt: skip
    assert right.returncode == 0, right.stdout
    assert 'Argument "version" to "Saga" has incompatible type "str"' in wrong.stdout
    assert (installed / "machines" / "py.typed").exists()


def test_author_needs_no_server_to_import_a_table(installed, tmp_path):
    (tmp_path / "trip.py").write_text(f"{TABLE}\nprint(len(TRIP.states))")
    command = [sys.executable, str(tmp_path / "trip.py")]
    found = subprocess.run(
        command, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert found.stdout == "10\n", found.stderr


def _post(url: str, body: object) -> str:
    headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
