"""The committed diagrams fit the tables. The check fails when a table was changed but not rendered again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from diagrams.files import DIAGRAMS, files
from diagrams.generated import ROOT
from machines.discovery import discover

CHECKOUT_FILE = Path("machines/checkout.py")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Make a copy of the tables, the renderers and the committed diagrams."""
    for folder in ("machines", "diagrams", "docs/sequences"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "diagrams", *arguments]
    return subprocess.run(
        command, cwd=root, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_committed_diagrams_fit_the_tables():
    assert DIAGRAMS.differences(ROOT, files(discover())) == []


def test_check_succeeds_silently_when_nothing_differs(copy: Path):
    checked = run(copy, "--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_check_names_files_and_remedy_when_a_step_changed(copy: Path):
    table = copy / CHECKOUT_FILE
    before = table.read_text()
    table.write_text(before.replace('"/{client_id}/payer"', '"/{client_id}/debiter"'))
    assert table.read_text() != before
    checked = run(copy, "--check")
    assert checked.returncode == 1
    named = {line.partition(" ")[0] for line in checked.stderr.splitlines()}
    assert {f"diagrams/rendered/checkout-v1.{kind}" for kind in ("svg", "puml", "dot", "mmd", "md")} <= named
    assert "docs/sequences/checkout-v1-success.puml" in named
    assert not any("commande" in name for name in named)
    assert all(line.endswith(DIAGRAMS.fix) for line in checked.stderr.splitlines())


@pytest.mark.parametrize(
    ("column", "changed"),
    [
        ('undoing="REMBOURSEMENT",', 'undoing="REMBOURSEMENT", timeout_s=9.0,'),
        ('undoing="REMBOURSEMENT",', 'undoing="REMBOURSEMENT", doing="PAIEMENT_EN_COURS",'),
        ('undoing="REMBOURSEMENT",', 'undoing="REMBOURSEMENT", probe=get("client", "/x"),'),
        ("version=1,", "version=1, deadline_s=60.0,"),
    ],
)
def test_check_fails_for_a_change_of_any_column(column: str, changed: str):
    """The test calls the same comparison as the option `--check` of the renderer."""
    space: dict[str, Any] = {}
    exec(compile((ROOT / CHECKOUT_FILE).read_text().replace(column, changed, 1), CHECKOUT_FILE, "exec"), space)
    tables = [space["CHECKOUT"] if table.name == "checkout" else table for table in discover()]
    assert "diagrams/rendered/checkout-v1.md is not what machines/ says now" in "\n".join(
        DIAGRAMS.differences(ROOT, files(tables))
    )


def test_writing_again_makes_check_succeed_and_removes_old_files(copy: Path):
    (copy / "diagrams/rendered/gone-v1.svg").write_text("old")
    (copy / "docs/sequences/index.md").unlink()
    checked = run(copy, "--check")
    assert "diagrams/rendered/gone-v1.svg is of no saga any more" in checked.stderr
    assert "docs/sequences/index.md is missing" in checked.stderr
    assert run(copy).returncode == 0
    assert not (copy / "diagrams/rendered/gone-v1.svg").exists()
    assert run(copy, "--check").returncode == 0


def test_the_output_is_the_same_in_every_process(copy: Path):
    for seed in ("1", "2"):
        assert run(copy, "--check", PYTHONHASHSEED=seed).returncode == 0


def test_the_command_runs_in_process_too(copy: Path, capsys: pytest.CaptureFixture[str]):
    assert DIAGRAMS.main(["--root", str(copy)]) == 0
    assert capsys.readouterr().out == f"{len(files(discover()))} files written\n"
    assert DIAGRAMS.main(["--root", str(copy), "--check"]) == 0


def test_the_renderers_need_nothing_but_the_tables():
    code = "import sys, diagrams.files; print(*{n.partition('.')[0] for n in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"app", "flask", "sqlalchemy", "graphviz", "pygraphviz"} & set(loaded.stdout.split())
