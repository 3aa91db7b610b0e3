"""`saga check` and `saga draw`, on a folder of tables."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.author import check, draw

LEGAL = """
from machines import Saga, pivot, post, text

TRIP = Saga(
    name="trip", version=1, initial="ASKED", completed="DONE", compensated="CANCELLED",
    data={"city": text()}, participants=("shop",),
    steps=(pivot("go", post("shop", "/go", city="city"), done="DONE", refused="NO"),),
)
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Remove the modules that the test has imported, so that the next test imports them again."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == "sagas"]:  # from tests of other folders
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trip.py").write_text(LEGAL)
    return tmp_path


def run(command, folder: Path, *arguments: str):
    found = CliRunner().invoke(command, [*arguments, "--sagas", str(folder)])
    return found.exit_code, found.output


def test_check_names_the_legal_tables(folder):
    assert run(check, folder) == (0, "1 legal: trip v1\n")


def test_check_lists_every_problem_of_every_file(folder):
    (folder / "ride.py").write_text(
        LEGAL.replace('"trip"', '"ride"').replace("/go", "go").replace('"city")', '"town")')
    )
    (folder / "walk.py").write_text("1 / 0\n")
    code, output = run(check, folder)
    assert code == 1
    first, second, third = output.splitlines()
    assert first == "ride v1: step go: path 'go' must begin with a slash"
    assert second.startswith("ride v1: step go: 'town' is no field of data; add it to data=")
    assert third == f"{folder}/walk.py, line 1: ZeroDivisionError: division by zero"


def test_check_sees_two_files_with_one_saga(folder):
    (folder / "again.py").write_text(LEGAL)
    assert run(check, folder) == (1, "trip v1 is defined twice; give the newer one the next version\n")


def test_check_writes_json(folder):
    (folder / "trip.py").write_text(LEGAL.replace("/go", "go"))
    code, output = run(check, folder, "--json")
    problem = "trip v1: step go: path 'go' must begin with a slash"
    places = [{"file": str(folder / "trip.py"), "line": 7}]  # the line of the step, and not that of Saga()
    assert (code, json.loads(output)) == (1, {"problems": [problem], "places": places, "notes": []})


def test_check_names_the_line_of_the_table_for_a_problem_of_no_written_step(folder):
    (folder / "trip.py").write_text(LEGAL.replace('completed="DONE"', 'completed="END"'))
    (folder / "again.py").write_text(
        LEGAL.replace('"trip"', '"made"').replace('"go", post("shop", "/go"', 'f"{1 and \'go\'}", post("shop", "go"')
    )
    _, output = run(check, folder, "--json")
    assert {place["line"] for place in json.loads(output)["places"]} == {4}


def test_check_writes_null_for_a_problem_without_a_place(folder):
    (folder / "again.py").write_text(LEGAL)
    assert json.loads(run(check, folder, "--json")[1])["places"] == [None]


def test_check_annotates_on_github(folder, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (folder / "trip.py").write_text(LEGAL.replace("/go", "go"))
    place = f"::error file={folder / 'trip.py'},line=7::"
    assert run(check, folder) == (1, f"{place}trip v1: step go: path 'go' must begin with a slash\n")


def test_check_annotates_by_flag_with_a_path_from_the_working_directory(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    (folder / "trip.py").write_text(LEGAL.replace("/go", "go%"))
    (folder / "walk.py").write_text("x = 1\n1 / 0\n")
    code, output = run(check, folder, "--github")
    first, *_, last = output.splitlines()
    assert (code, first) == (
        1, f"::error file={folder.name}/trip.py,line=7::trip v1: step go: path 'go%25' must begin with a slash",
    )  # fmt: skip
    walk = f"{folder.name}/walk.py"
    assert last == f"::error file={walk},line=2::{walk}, line 2: ZeroDivisionError: division by zero"


def test_annotation_of_a_problem_without_a_place_has_none(folder):
    (folder / "again.py").write_text(LEGAL)
    assert run(check, folder, "--github")[1].startswith("::error::trip v1 is defined twice")


def test_draw_writes_the_diagram(folder):
    code, output = run(draw, folder, "trip", "--kind", "puml")
    assert code == 0
    assert output.startswith("@startuml")
    assert "ASKED" in output


def test_draw_names_the_known_sagas(folder):
    assert run(draw, folder, "trap") == (6, "saga: there is no saga trap; use one of trip\n")
