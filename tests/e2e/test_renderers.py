"""PlantUML and Graphviz render each committed .puml and .dot file without a warning."""

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from diagrams.files import RENDERED, SEQUENCES
from diagrams.generated import ROOT

pytestmark = pytest.mark.programs

PUML = [*sorted((ROOT / RENDERED).glob("*.puml")), *sorted((ROOT / SEQUENCES).glob("*.puml"))]
DOT = sorted((ROOT / RENDERED).glob("*.dot"))


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed: apt-get install -y graphviz plantuml", pytrace=False)
    return found


def test_plantuml_renders_every_diagram_without_a_warning(tmp_path: Path):
    command = [program("plantuml"), "-failfast2", "-tsvg", "-o", str(tmp_path), *map(str, PUML)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout, warnings(done.stderr)) == (0, "", [])
    rendered = {file.stem: file.read_text() for file in tmp_path.glob("*.svg")}
    assert set(rendered) == {file.stem for file in PUML}
    for name, svg in rendered.items():
        ET.fromstring(svg)
        assert "Syntax Error" not in svg, name


def test_plantuml_output_contains_the_words_of_the_table(tmp_path: Path):
    source = ROOT / RENDERED / "checkout-v1.puml"
    subprocess.run([program("plantuml"), "-tsvg", "-o", str(tmp_path), str(source)], check=True, timeout=300)
    words = {text.text for text in ET.parse(tmp_path / "checkout-v1.svg").iter() if text.tag.endswith("text")}
    assert {
        "paid (PAIEMENT_EFFECTUE)",
        "POST client/{client_id}/payer",
        "up to 4 attempts, 1 s \N{MULTIPLICATION SIGN}2, timeout 5 s",
    } <= words


@pytest.mark.parametrize("source", DOT, ids=lambda source: source.stem)
def test_dot_renders_every_graph_without_a_warning(source: Path, tmp_path: Path):
    command = [program("dot"), "-Tsvg", str(source), "-o", str(tmp_path / "out.svg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    ET.parse(tmp_path / "out.svg")


def test_diagrams_to_render_exist():
    assert len(DOT) >= 9
    assert len(PUML) > len(DOT)


def warnings(stderr: str) -> list[str]:
    """Return the warnings, without the messages of the Java virtual machine about its options."""
    return [line for line in stderr.splitlines() if not line.startswith("Picked up ")]
