"""The disaster drills of docs/operations.md run against real servers, and no order is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[2]
OLD = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), Path("/nowhere"))


def drill(*arguments):
    command = [sys.executable, "-m", "deploy.drill", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)


@pytest.mark.parametrize("name", ["failover", "restore"])
def test_no_answered_order_is_lost_with_its_server(name):
    done = drill(name, "--seconds", "6")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{name}: ")
    assert "that are lost (RPO): 0;" in done.stdout


@pytest.mark.skipif(not (OLD / "pg_ctl").exists(), reason="there is no PostgreSQL of an older version")
def test_sagas_in_flight_continue_on_another_major_version():
    done = drill("upgrade", "--seconds", "6", "--old", str(OLD))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("upgrade", "--old", "/nowhere"), "drill: --old /nowhere has no PostgreSQL of an older version\n"),
        (("failover", "--programs", "/nowhere"), "drill: /nowhere has no initdb\n"),
    ],
)
def test_missing_program_is_one_line(arguments, complaint):
    done = drill(*arguments)
    assert (done.returncode, done.stderr) == (2, complaint)
