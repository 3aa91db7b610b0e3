"""A real server does not start without a secret, and does not answer without a key."""

import os
import subprocess
import sys

import pytest
import requests

from tests.support import forkserver
from tests.support.servers import OPEN
from tests.support.waiting import free_port


def ended(*arguments, **settings):
    bare = {name: value for name, value in os.environ.items() if name not in {*OPEN, "HOST"}}
    return subprocess.run(
        [sys.executable, *arguments], env=bare | settings, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("program", "settings", "message"),
    [
        (("-m", "app"), {}, "SECRET_KEY is not set"),
        (("-c", "import wsgi"), {"SECRET_KEY": ""}, "SECRET_KEY is not set"),
        (("-m", "app"), {"SECRET_KEY": "x" * 32, "API_AUTH": "off", "HOST": "0.0.0.0"}, "API_AUTH=off would let"),
    ],
)
def test_server_without_a_secret_does_not_start(sqlite_url, program, settings, message):
    done = ended(*program, DATABASE_URL=sqlite_url, PORT=str(free_port()), **settings)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"saga: {message}")
    assert done.stderr.count("\n") == 1


def test_server_requires_a_key(orchestrator, store_url):
    server = orchestrator(API_AUTH="on")
    added = forkserver.run("app.cli", "key", "add", "shop", "--scope", "read", env=server.environment)
    key = added.stdout.decode().strip()
    assert requests.get(f"{server.url}/api/v1/sagas", timeout=5).status_code == 401
    assert requests.get(f"{server.url}/api/v1/sagas", headers={"X-API-Key": key}, timeout=5).status_code == 200
    assert requests.get(f"{server.url}/metrics", timeout=5).status_code == 200
