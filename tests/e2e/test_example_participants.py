"""The participants that `saga new` and the tutorial hand out keep the contract that `saga conform` tries."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from app.cli.__main__ import command_line
from tests.support.documented import blocks
from tests.support.waiting import HOST, eventually, free_port

pytestmark = pytest.mark.programs


ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
OWN = ROOT / "docs" / "examples" / "own-repository"


def block_with(words: str) -> str:
    return next(block.text for block in blocks(TUTORIAL.read_text()) if words in block.text)


def scaffold(folder: Path, port: int) -> tuple[list[str], tuple[str, ...]]:
    made = CliRunner().invoke(command_line(), ["new", "gift", "--folder", str(folder)])
    assert made.exit_code == 0, made.output
    return ["participant.py"], ("gift.reserve", "customer=Ada", "--url", f"http://{HOST}:{port}")


def own_repository(step: str) -> Callable[[Path, int], tuple[list[str], tuple[str, ...]]]:
    def made(folder: Path, port: int) -> tuple[list[str], tuple[str, ...]]:
        shutil.copytree(OWN / "sagas", folder / "sagas")
        return [str(OWN / "participant.py")], (step, "customer=Ada", "--url", f"http://{HOST}:{port}")

    return made


def ticket_after_its_hold(folder: Path, port: int) -> tuple[list[str], tuple[str, ...]]:
    command, _ = tutorial(folder, port)
    url = f"http://{HOST}:{port}"
    urls = ("--url", f"{url}/mail", "--url", f"hall={url}/hall", "--look", "/")
    return command, ("ticket.send", "customer=Ada", "seats=1", *urls)


def tutorial(folder: Path, port: int) -> tuple[list[str], tuple[str, ...]]:
    (folder / "sagas").mkdir()
    (folder / "sagas" / "ticket.py").write_text(block_with('name="ticket"'))
    (folder / "theatre.py").write_text(block_with("class Theatre").replace("8100", str(port)))
    look = ("--look", "/")
    return ["theatre.py"], ("ticket.hold", "customer=Ada", "seats=1", "--url", f"http://{HOST}:{port}/hall", *look)


MADE = {
    "saga new": scaffold, "tutorial": tutorial, "earlier step at the same participant": ticket_after_its_hold,
    **{step: own_repository(step) for step in ("gift.reserve", "gift.pay", "gift.confirm")},
}  # fmt: skip


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_participant_of_the_documentation_keeps_the_contract(tmp_path, made):
    port = free_port()
    command, arguments = made(tmp_path, port)
    process = subprocess.Popen([sys.executable, *command], cwd=tmp_path, env=os.environ | {"PORT": str(port)})
    try:
        eventually(lambda: answers(port), "the participant listens")
        # In a process of its own, because a process reads only one folder with a gift.py.
        tried = subprocess.run(
            [sys.executable, "-m", "app.cli", "conform", *arguments, "--sagas", str(tmp_path / "sagas")],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert tried.returncode == 0, tried.stdout + tried.stderr
        assert "late-do" in tried.stdout
        assert "0 not kept" in tried.stdout, tried.stdout
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        requests.get(f"http://{HOST}:{port}/", timeout=2)
    except requests.RequestException:
        return False
    return True
