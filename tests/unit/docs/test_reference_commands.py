"""The commands that the reference documents write down find their files and targets here."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_the_documents_state_machine_file_is_the_drawing_of_the_order_saga():
    asked = ROOT / "docs" / "UML" / "saga-state-machine.puml"
    assert asked.read_text() == (ROOT / "diagrams" / "rendered" / "commande-v1.puml").read_text()


def test_the_documents_step_state_machine_is_the_drawing_of_the_steps_status():
    asked = ROOT / "docs" / "UML" / "step-state-machine.puml"
    assert asked.read_text() == (ROOT / "diagrams" / "rendered" / "step-status.puml").read_text()


def test_the_documents_integration_script_runs_tests_that_exist():
    (named,) = re.findall(r"tests/\S+\.py", (ROOT / "test_saga_integration.py").read_text())
    assert (ROOT / named).is_file()


@pytest.mark.parametrize("target", ["test", "watch", "coverage"])
def test_tests_run_once_again_at_each_change_and_with_coverage(target):
    said = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"pytest|ptw", said)
