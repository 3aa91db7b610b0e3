"""The committed files in deploy/ fit the tables, and the check fails when a file is outdated."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.observability.files import OBSERVABILITY, RULES, files
from diagrams.generated import ROOT
from machines.discovery import discover


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("machines", "diagrams", "deploy"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.observability", *arguments]
    return subprocess.run(
        command, cwd=root, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )


def change(copy: Path, before: str, after: str) -> None:
    table = copy / "machines" / "checkout.py"
    assert before in table.read_text()
    table.write_text(table.read_text().replace(before, after))


def test_files_of_own_sagas_are_written_for_the_tables_that_sagas_names(tmp_path):
    """The dashboards, alerts and diagrams of a repository of one's own; the samples are in none of them."""
    own = ROOT / "docs" / "examples" / "own-repository" / "sagas"
    for module in ("deploy.observability", "diagrams"):
        command = [sys.executable, "-m", module, "--root", str(tmp_path)]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"SAGAS": str(own)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert "gift" in written["diagrams/rendered/gift-v1.svg"]
    assert len([name for name in written if name.startswith("deploy/grafana/")]) == 6
    assert [name for name, text in written.items() if re.search("purchase_saga|checkout|commande", text)] == []


def test_committed_files_fit_the_tables():
    assert OBSERVABILITY.differences(ROOT, files(discover())) == []


def test_check_succeeds_silently_in_every_process(copy):
    for seed in ("1", "2"):
        checked = run(copy, "--check", PYTHONHASHSEED=seed)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_renamed_state_changes_the_dashboards_that_name_it(copy):
    change(copy, '"ECHEC_PAIEMENT"', '"PAIEMENT_REFUSE"')
    checked = run(copy, "--check")
    assert checked.returncode == 1
    assert f"observabilite-sagas.json is not what machines/ and deploy/observability/ say now: {OBSERVABILITY.fix}" in (
        checked.stderr
    )
    assert run(copy).returncode == 0
    assert "PAIEMENT_REFUSE" in (copy / "deploy/grafana/dashboards/observabilite-sagas.json").read_text()


def test_rules_are_the_same_for_every_set_of_sagas():
    """A saga that is added must be in every alert, although nobody writes the rules again."""
    with_sagas, without = files(discover()), files([])
    for name in ("alerts.yml", "budget.yml", "tables.yml"):
        assert with_sagas[RULES / name] == without[RULES / name]


def test_writing_again_makes_check_succeed_and_removes_old_files(copy):
    (copy / RULES / "gone.yml").write_text("old")
    (copy / "deploy/grafana/dashboards/saga-errors.json").unlink()
    checked = run(copy, "--check")
    assert f"{RULES}/gone.yml is of nothing any more" in checked.stderr
    assert "deploy/grafana/dashboards/saga-errors.json is missing" in checked.stderr
    assert run(copy).returncode == 0
    assert not (copy / RULES / "gone.yml").exists()
    assert run(copy, "--check").returncode == 0


def test_the_command_runs_in_process_too(copy, capsys):
    assert OBSERVABILITY.main(["--root", str(copy)]) == 0
    assert capsys.readouterr().out == f"{len(files(discover()))} files written\n"
    assert OBSERVABILITY.main(["--root", str(copy), "--check"]) == 0
