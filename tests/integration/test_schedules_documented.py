"""The commands of docs/schedules.md work, in their order, against a service with the tables that they name."""

import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskCliRunner

from app import create_app
from app.cli.group import EXIT_CODES
from app.config import from_environment
from machines import Saga, integer, pivot, post, text
from machines.registry import Registry
from tests.integration.client.conftest import listen
from tests.support.applications import opened
from tests.support.documented import blocks
from tests.support.servers import OPEN

PAGE = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text()


def table(name, **data):
    return Saga(
        name=name, version=1, initial="ASKED", completed="DONE", compensated="OFF", data=data, participants=("shop",),
        steps=(pivot("do", post("shop", "/do"), done="DONE", refused="NOT_DONE"),),
    )  # fmt: skip


TABLES = [table("travel", customer=text(), city=text(), nights=integer()), table("settle", shop=integer())]


@pytest.fixture
def run(store_url):
    """Return a function that runs a command of the page and returns its output."""
    app = create_app(from_environment(OPEN | {"DATABASE_URL": store_url}), Registry(TABLES))
    with opened(app):
        server = listen(app)

        def one(command):
            if command.startswith("saga "):
                done = FlaskCliRunner(app).invoke(args=shlex.split(command))
                pending = EXIT_CODES["pending"] if command.startswith("saga start ") else 0
                assert done.exit_code == pending, done.output
                return done.output
            real = command.replace("http://127.0.0.1:8009", f"http://127.0.0.1:{server.server_port}")
            done = subprocess.run(["bash", "-euc", real], capture_output=True, text=True, check=True, timeout=60)
            return done.stdout

        yield one
        server.shutdown()
        server.server_close()


def test_every_command_of_the_page_works(run):
    next_year = str(datetime.now(UTC).year + 1)
    commands = [
        command.replace("2027", next_year)
        for block in blocks(PAGE)
        if block.language == "bash"
        for command in re.split(r"(?<!\\)\n", block.text.strip())
    ]
    outputs = [run(command) for command in commands]
    begun, started, added, listed, *_ = outputs
    assert begun.startswith("HTTP/1.1 202")
    assert f'"start_at":"{next_year}-01-31T09:30:00' in begun.replace('": "', '":"')
    assert "pending" in started
    assert "nightly" in added
    assert "nightly" in listed
    assert len(outputs) == 8
    assert "nightly" not in run("saga schedule list")
