"""The packages of the image: each is locked to the hashes of its files, and is looked up in the list of advisories."""

import json
import re
from pathlib import Path

import pytest

from deploy import advisories, lock
from deploy.sbom import REQUIREMENTS, pinned

ROOT = Path(__file__).parents[3]
PACKAGES = sorted(pinned(REQUIREMENTS.read_text()))


def test_lock_has_each_pinned_package_with_its_hashes():
    assert lock.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (lambda text: text.replace("idna==3.20", "idna==3.19"), "idna 3.20 is missing"),
        (lambda text: text + f"evil==1 --hash=sha256:{'0' * 64}\n", "evil 1 is not in requirements.txt"),
        (lambda text: text + "evil==1\n", "no package with its hashes: evil==1"),
        (lambda text: text + "evil @ https://evil.example/evil.whl\n", "no package with its hashes"),
        (lambda text: text + "evil==1 --hash=md5:00\n", "no package with its hashes"),
    ],
)
def test_lock_that_differs_is_refused(tmp_path, monkeypatch, capsys, wrong, problem):
    file = tmp_path / "requirements.lock"
    file.write_text(wrong(lock.LOCK.read_text()))
    monkeypatch.setattr(lock, "LOCK", file)
    assert lock.main(["--check"]) == 1
    assert problem in capsys.readouterr().err


def test_lock_has_the_files_of_both_processors():
    hashes = [{name.lower().replace("_", "-"): digit * 64 for name, _ in PACKAGES} for digit in "ab"]
    text = lock.locked([("idna", "3.20")], hashes)
    assert f"idna==3.20 --hash=sha256:{'a' * 64} --hash=sha256:{'b' * 64}" in text
    assert lock.problems_of(text, [("idna", "3.20")]) == []


def test_lock_has_the_files_of_each_supported_python():
    """A base image can have any of them; pip refuses a file without a known hash."""
    supported = re.search(r'requires-python = ">=([0-9.]+)"', (ROOT / "pyproject.toml").read_text())
    image = re.search(r"^FROM python:([0-9.]+)-slim", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert (supported[1], image[1]) == (lock.PYTHONS[0], lock.PYTHONS[-1])
    head = lock.LOCK.read_text().partition("\n")[0]
    assert f"Python {' '.join(lock.PYTHONS)} on " in head
    (cffi,) = [line for line in lock.LOCK.read_text().splitlines() if line.startswith("cffi==")]
    assert cffi.count("--hash=") == len(lock.PYTHONS) * len(lock.PROCESSORS), "cffi has a file for each of them"


def test_image_installs_only_files_with_a_known_hash():
    recipe = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes --only-binary=:all: -r requirements.lock" in recipe
    assert recipe.count("pip install") == 1
    assert "!requirements.lock" in (ROOT / ".dockerignore").read_text().splitlines()


def report(*packages):
    return json.dumps({"dependencies": packages})


FINE = {"name": "idna", "version": "3.20", "vulns": []}
WEAK = {"name": "flask", "version": "3.1.3", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.4"]}]}
UNKNOWN = {"name": "amqp", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "line"),
    [
        ([FINE], 0, "advisories: none for 1 packages"),
        ([FINE, WEAK], 1, "advisories: flask 3.1.3: PYSEC-1, mended in 3.1.4"),
        ([FINE, UNKNOWN], 0, "advisories: amqp: not found"),
        ([UNKNOWN, UNKNOWN], 0, "advisories: skipped, because the advisory service does not answer"),
    ],
)
def test_advisory_fails_the_check_and_a_missing_network_does_not(packages, code, line):
    assert advisories.verdict(report(*packages)) == (code, [line])


def test_check_without_a_report_says_that_nothing_was_looked_up():
    assert advisories.verdict("") == (0, ["advisories: skipped, because the advisory service does not answer"])
