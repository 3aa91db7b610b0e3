"""Schemathesis calls every operation of the API: no answer is a 5xx, and /openapi.json describes each answer.

FUZZ_EXAMPLES sets the number of random cases for each operation, and the number of sequences of linked operations. The
examples in the schema are always tried too.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.support.waiting import eventually

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))

#: One check is excluded, because some values fit the schema but are refused: an idempotency key in use, 4.0 as an
#: integer, and an invented cursor.
CHECKS = ["--checks=all", "--exclude-checks=positive_data_acceptance"]
SETTINGS = f"""
suppress-health-check = ["all"]
continue-on-failure = true
request-timeout = 60
[generation]
max-examples = {EXAMPLES}
[phases.stateful]
max-steps = 12
generation.max-examples = {EXAMPLES * 5}
# A batch answers 200 although a start in it is refused: that start has a problem of its own.
[[operations]]
include-path-regex = "/batch$"
[operations.checks]
negative_data_rejection.expected-statuses = [200, "4xx"]
"""


@pytest.fixture
def key(store_url):
    """Return an API key with every scope."""
    command = [sys.executable, "-m", "app.cli", "key", "add", "fuzz"]
    scopes = [f"--scope={scope}" for scope in ("read", "start", "operate")]
    environment = os.environ | {"DATABASE_URL": store_url}
    return subprocess.run(
        [*command, *scopes], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_every_answer_fits_the_schema(orchestrator, participants, tmp_path, key):
    server = orchestrator(WAIT_S="0.2", LEASE_S="30", LOG_LEVEL="WARNING", API_AUTH="on")
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    command = [
        SCHEMATHESIS,
        "run",
        f"{server.url}/openapi.json",
        f"--url={server.url}",
        "--no-color",
        "-H",
        f"X-API-Key: {key}",
    ]
    try:
        run = subprocess.run([*command, *CHECKS], cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:  # also when the test is interrupted or reaches its time limit, because the next test uses the same server
        let_sagas_end(f"{server.url}/api/v1", {"X-API-Key": key})
    sys.stdout.write(run.stdout)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    assert int(re.search(r"(\d+) generated", run.stdout)[1]) > 1000, "the schema's own cases alone are more"


def let_sagas_end(api, headers):
    """Resume the participants that a case has paused. Otherwise goods stay reserved, which the next test would see."""
    for participant in requests.get(f"{api}/participants", headers=headers, timeout=30).json()["participants"]:
        if participant["paused_by"]:
            resumed = requests.post(f"{api}/participants/{participant['name']}/resume", headers=headers, timeout=30)
            resumed.raise_for_status()

    def under_way():
        query = {"status": "in_progress", "limit": 1}
        return requests.get(f"{api}/sagas", params=query, headers=headers, timeout=30).json()["sagas"]

    eventually(lambda: not under_way(), "no saga is under way")
