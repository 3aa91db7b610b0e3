"""The files and make targets that the reference documents name exist here."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_documented_state_machine_file_is_the_order_saga_diagram():
    asked = ROOT / "docs" / "UML" / "saga-state-machine.puml"
    assert asked.read_text() == (ROOT / "diagrams" / "rendered" / "commande-v1.puml").read_text()


def test_documented_step_state_machine_is_the_step_status_diagram():
    asked = ROOT / "docs" / "UML" / "step-state-machine.puml"
    assert asked.read_text() == (ROOT / "diagrams" / "rendered" / "step-status.puml").read_text()


def test_documented_integration_script_runs_existing_tests():
    (named,) = re.findall(r"tests/\S+\.py", (ROOT / "test_saga_integration.py").read_text())
    assert (ROOT / named).is_file()


@pytest.mark.parametrize("target", ["test", "watch", "coverage"])
def test_make_targets_run_tests_on_change_and_with_coverage(target):
    said = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"pytest|ptw", said)
