"""`saga new`: the files of a new saga are legal and tested, and no file is overwritten."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.__main__ import _PROCESSES
from app.cli.group import BAD_INPUT, SagaGroup
from app.cli.new import new
from machines.discovery import tables_at

ROOT = Path(__file__).parents[4]


def run(*arguments: str):
    return CliRunner().invoke(SagaGroup("saga", {"new": new}), ["new", *arguments])


def test_new_writes_a_legal_table_with_a_test_that_passes(tmp_path):
    folder = tmp_path / "shop"
    done = run("gift", "--folder", str(folder))
    assert done.exit_code == 0, done.output
    made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert made == ["Dockerfile", "participant.py", "sagas/gift.py", "tests/test_gift.py"]
    assert all(str(folder / name) in done.output for name in made)
    assert [str(table) for table in tables_at(folder / "sagas")] == ["gift v1"]
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout
    assert "43 passed" in tested.stdout  # three tests, and one for each outcome


def test_participant_refuses_a_repeated_key_with_another_request(tmp_path):
    run("gift", "--folder", str(tmp_path))
    answer = runpy.run_path(str(tmp_path / "participant.py"))["answer"]
    first = answer("1/reserve/do", "/reservations", {"customer": "Ada"})
    assert first == (201, {"number": 1})
    assert answer("1/reserve/do", "/reservations", {"customer": "Ada"}) == first
    used = 422, {"detail": "the Idempotency-Key was used for another request"}
    assert answer("1/reserve/do", "/reservations", {"customer": "Bob"}) == used
    assert answer("1/reserve/do", "/payments", {"customer": "Ada"}) == used
    assert answer("1/pay/do", "/payments", {"customer": "Ada"}) == (201, {"number": 2})


def test_participant_of_the_example_repository_is_the_generated_one(tmp_path):
    run("gift", "--folder", str(tmp_path))
    example = ROOT / "docs/examples/own-repository/participant.py"
    assert (tmp_path / "participant.py").read_text() == example.read_text()


def test_dockerfile_has_three_lines(tmp_path):
    run("gift", "--folder", str(tmp_path))
    first, *rest = (tmp_path / "Dockerfile").read_text().splitlines()
    assert first.startswith("FROM saga-orchestrator:")
    assert rest == ["COPY sagas /sagas", 'RUN ["saga", "check"]']


def test_second_saga_of_a_folder_adds_only_its_own_files(tmp_path):
    run("gift", "--folder", str(tmp_path))
    (tmp_path / "participant.py").unlink()
    run("parcel", "--folder", str(tmp_path))
    assert not (tmp_path / "participant.py").exists()
    assert [str(table) for table in tables_at(tmp_path / "sagas")] == ["gift v1", "parcel v1"]


@pytest.mark.parametrize("existing", ["sagas/gift.py", "tests/test_gift.py", "participant.py", "Dockerfile"])
def test_no_file_is_overwritten(tmp_path, existing):
    path = tmp_path / existing
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    done = run("gift", "--folder", str(tmp_path))
    assert (done.exit_code, done.stderr) == (BAD_INPUT, f"saga: {path} exists already; nothing was written\n")
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["", "Gift", "1st", "my-saga", "a b", "class", "test_gift", "../x", "é", "a" * 65, "a.b"]
)
def test_bad_name_is_one_line_and_exit_code_2(tmp_path, name):
    done = run(name, "--folder", str(tmp_path))
    assert (done.exit_code, done.stderr.count("\n")) == (BAD_INPUT, 1)
    assert "cannot be the name of a saga; use small letters" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("no folder")
    done = run("gift", "--folder", str(tmp_path / "file"))
    assert (done.exit_code, done.stderr.count("\n")) == (BAD_INPUT, 1)


def test_no_process_has_the_name_of_an_authors_command():
    assert not {"new", "check", "draw", "diff"} & _PROCESSES.keys()
