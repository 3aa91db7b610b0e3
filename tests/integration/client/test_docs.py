"""Every block of docs/client.md works, in the order of the page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.services import services
from tests.integration.client.conftest import store_message

ROOT = Path(__file__).parents[3]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / "client.md").read_text(), re.DOTALL)
#: Commands of the page that other tests run.
ELSEWHERE = {"pip install ./client": "tests/e2e/test_client_wheel.py"}


@pytest.fixture
def run_command(tmp_path, monkeypatch):
    """Return a function that runs a command of the page in a shell, in the folder that Python imports from."""
    folder = tmp_path / "program"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "SAGAS": str(tmp_path / "travels")}

    def run(command: str) -> None:
        saga = f"{sys.executable} -m app.cli"
        done = subprocess.run(
            ["bash", "-euc", re.sub(r"^saga ", f"{saga} ", command)], cwd=folder, env=environment, check=False,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    yield run
    sys.modules.pop("travel_types", None)


def test_every_block_of_the_page_works(service, operator_key, run_command, capsys):
    namespace: dict = {"__name__": "page"}
    for language, block in BLOCKS:
        command = block.partition("#")[0].strip()
        if language == "bash" and command in ELSEWHERE:
            assert (ROOT / ELSEWHERE[command]).exists()
        elif language == "bash":
            run_command(command)
        else:
            assert language == "python"
            if "webhooks.dead" in block:
                store_message(service, namespace["saga"].id)
            real = block.replace("http://localhost:8009", service.url).replace("saga_1a2b3c4d_…", operator_key)
            exec(compile(real, "docs/client.md", "exec"), namespace)
    output = capsys.readouterr().out
    assert "completed BOOKED" in output
    assert "/nights Must be greater than or equal to 1" in output
    assert "fly completed 1 {'seat': '12A'}" in output
    assert "BOOKED BOOKED" in output
    assert output.count("trip-2") == 5
    assert "nightly travel 0 4 * * * Europe/Paris False" in output
    assert len(namespace["page"].sagas) == len(namespace["older"].sagas) == 2
    assert f"shop completed {namespace['saga'].id} 12 500" in output
    assert [message.status for message in namespace["sagas"].webhooks.of_saga(namespace["saga"])] == ["pending"]
    namespace["sagas"].close()
    assert len(services(service).registry.names) == 1
