"""The tutorial and the README's way to an own saga, followed word for word: commands, files and output."""

import os
import re
import shutil
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.documented import Block, Shell, blocks, differs
from tests.support.waiting import free_port

pytestmark = pytest.mark.programs
ROOT = Path(__file__).parents[2]
#: The promise of the README. A reader also downloads the dependencies, in about a minute.
TEN_MINUTES_S = 600.0
#: The files and folders from which the wheel is built.
SOURCES = (
    "app",
    "machines",
    "diagrams",
    "migrations",
    "docs/examples",
    "pyproject.toml",
    "requirements.txt",
    "README.md",
    "LICENSE",
    "wsgi.py",
)


@pytest.fixture
def shell(tmp_path):
    """Return a shell in a copy of the repository, with an empty home and few of this process's variables."""
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    for name in SOURCES:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        copy(source, clone / name)
    environment = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTP"))} | {
        "PATH": os.pathsep.join([str(Path(sys.executable).resolve().parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        # The service uses the packages of the tests' environment. pip installs only the package that the page names.
        "PIP_NO_DEPS": "1",
        "PYTHONPATH": sysconfig.get_path("purelib"),
    }
    shell = Shell(clone, environment)
    yield shell
    shell.close()


@pytest.fixture
def instead():
    """Return the texts of a page and their replacements. Only the ports differ, because other tests run meanwhile."""
    service, participant = str(free_port()), str(free_port())
    return {
        "8009": service,
        "8100": participant,
        "saga serve": f"PORT={service} saga serve",
        "python participant.py": f"PORT={participant} python participant.py",
    }


def follow(page: str, shell: Shell, instead: Mapping[str, str]) -> str:
    """Follow the page: write its files and run its commands. Return the output of the last command."""
    output = ""
    for block in blocks(page):
        text = re.sub("|".join(instead), lambda found: instead[found[0]], block.text)
        match block:
            case Block(file=str(name)):
                folder = Path(shell.run("pwd").strip())
                (folder / name).write_text(text)
            case Block(language="bash"):
                output = shell.run(text)
            case Block(language="text"):
                assert not (missing := differs(output, text)), f"{missing!r} is not in the output:\n{output}"
            case _:
                pytest.fail(f"a reader cannot do anything with this {block.language} block:\n{text}")
    return output


def test_the_readmes_way_to_an_own_saga_works_word_for_word(shell, instead):
    page = (ROOT / "README.md").read_text()
    section = page.partition("## Your own saga in ten minutes\n")[2].partition("\n## ")[0]
    began = time.monotonic()
    output = follow(section, shell, instead)
    assert time.monotonic() - began < TEN_MINUTES_S
    assert '"state":"CONFIRMED","status":"completed"' in output
    assert output.splitlines()[-3:] == [
        f'/{path} {{"customer": "Ada"}}' for path in ("reservations", "payments", "confirmations")
    ]


def test_commands_of_the_example_repository_work_word_for_word(shell, instead):
    page = (ROOT / "docs/examples/own-repository/README.md").read_text()
    section = page.partition("## Run it\n")[2].partition("\n## ")[0]
    shell.run(
        "python3 -m venv ~/env && . ~/env/bin/activate && pip install --quiet . && cd docs/examples/own-repository"
    )
    assert "✓ completed in CONFIRMED  gift v1" in follow(section, shell, instead)


def test_tutorial_works_word_for_word(shell, instead):
    """After it the reader tries its participants and verifies its table, as docs/conform.md and docs/verify.md say."""
    follow((ROOT / "docs" / "tutorial.md").read_text(), shell, instead)
    assert "POST /bank/payments" in shell.run("cat theatre.log")
    page = (ROOT / "docs" / "conform.md").read_text()
    assert "exit code 1" in follow(page.partition("## What it needs\n")[0], shell, instead)
    assert 'failures="1"' in shell.run("cat conform.xml")
    page = (ROOT / "docs" / "verify.md").read_text()
    assert '"findings":[],"notes":[],"saga":"ticket"' in follow(page.partition("\n| exit code")[0], shell, instead)


def test_examples_run_by_hand_as_their_page_says(shell, instead):
    clone = Path(shell.run("pwd").strip())
    (clone / ".venv").symlink_to(ROOT / ".venv")
    shutil.copy(ROOT / "Makefile", clone)
    os.utime(clone / "requirements.txt", (0, 0))  # older than the virtual environment, which make need not change
    page = (ROOT / "docs/examples/README.md").read_text()
    section = page.partition("## Run one by hand\n")[2].partition("\n## ")[0]
    services = {str(port): str(free_port()) for port in (9101, 9102, 9103)}
    run = {"make run": f"PORT={instead['8009']} make run"}
    follow(section, shell, {**instead, **services, **run})
