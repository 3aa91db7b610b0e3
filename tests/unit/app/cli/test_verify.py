"""The command `saga verify`: its output and its exit codes."""

import json

import pytest
from click.testing import CliRunner

from app.cli.__main__ import command_line

TABLES = """
from machines import Saga, pivot, post, sub, text

SALE = Saga(
    name="sale", version=1, initial="STARTED", completed="DONE", compensated="CANCELLED", data={"who": text()},
    participants=("shop",),
    steps=(pivot("pay", post("shop", "/pay"), done="DONE", refused="NO_PAY"),),
)
ORDER = Saga(
    name="order", version=1, initial="STARTED", completed="DONE", compensated="CANCELLED", data={"who": text()},
    participants=(),
    steps=(sub("sale", data={"who": "who"}, pivot=True, done="DONE", refused="NO_SALE"),),
)
"""


@pytest.fixture(scope="module")
def sagas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verified")
    (folder / "verified.py").write_text(TABLES)
    return folder


def run(*arguments):
    return CliRunner().invoke(command_line(), ["verify", *map(str, arguments)], prog_name="saga")


def test_verify_prints_the_size_of_the_search(sagas):
    result = run("sale", "--sagas", sagas)
    assert (result.exit_code, result.stdout.startswith("sale v1: 0 faults; ")) == (0, True)
    assert "states" in result.stdout


def test_verify_shows_the_shortest_path_to_a_fault(sagas, monkeypatch, tmp_path):
    drawing = tmp_path / "fault.svg"
    monkeypatch.setattr("machines.progress.Progress.can_expire", property(lambda saga: saga.may("expire")))
    result = run("sale", "--sagas", sagas, "--draw", drawing)
    assert result.exit_code == 1
    assert "A test that reproduces it:" in result.stdout
    assert drawing.read_text().startswith("<svg")
    assert "although pay" in result.stdout
    assert "   1. " in result.stdout


def test_verify_writes_json(sagas):
    found = json.loads(run("sale", "--sagas", sagas, "--json").stdout)
    assert (found["saga"], found["complete"], found["findings"], found["unreached"]) == ("sale", True, [], [])


LATE = """
from machines import Retry, Saga, compensatable, post, text

HOLD = Saga(
    name="late", version=1, initial="STARTED", completed="DONE", compensated="CANCELLED", data={"who": text()},
    participants=("shop",), deadline_s=LIMIT,
    steps=(
        compensatable("hold", post("shop", "/hold"), undo=post("shop", "/undo"), timeout_s=10,
                      retry=Retry(attempts=3, base_s=20), done="DONE", refused="NO_HOLD"),
    ),
)
"""


@pytest.mark.parametrize(("limit", "notes"), [(89, 1), (90, 0)])
def test_retries_that_cannot_all_come_before_the_deadline_are_noted(tmp_path, limit, notes):
    (tmp_path / f"late_{limit}.py").write_text(LATE.replace("LIMIT", str(limit)))
    found = run("late", "--sagas", tmp_path)
    assert (found.exit_code, found.stdout.count("note: hold: its 3 attempts and the waits between them")) == (0, notes)
    assert len(json.loads(run("late", "--sagas", tmp_path, "--json").stdout)["notes"]) == notes


def test_search_that_reaches_its_bound_is_no_proof(sagas):
    result = run("sale", "--sagas", sagas, "--states", 10)
    assert (result.exit_code, "NOT COMPLETE" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "give the name of a saga, or --all"),
        (("sale", "--all"), 2, "and not both"),
        (("sale", "--draw", "/nonexistent/a.svg"), 2, "/nonexistent is no folder"),
        (("nothing",), 6, "there is no saga nothing"),
    ],
)
def test_bad_input_is_one_line(sagas, arguments, code, said):
    result = run(*arguments, "--sagas", sagas)
    assert (result.exit_code, result.stderr.count("\n"), result.stdout) == (code, 1, "")
    assert said in result.stderr


def test_table_is_searched_after_the_tables_that_it_starts(sagas):
    result = run("order", "--sagas", sagas)
    child, own = result.stdout.splitlines()
    assert child.startswith("sale v1, as a child: 0 faults; ")
    assert own.startswith("order v1: 0 faults; ")
    assert result.exit_code == 0


def test_each_table_is_searched_once_as_a_child(sagas):
    written = [json.loads(line) for line in run("--all", "--json", "--sagas", sagas).stdout.splitlines()]
    searched = [(each["saga"], each["as_child"]) for each in written]
    assert searched == [("sale", False), ("sale", True), ("order", False)]


def test_parent_of_a_faulty_child_is_not_searched(sagas, monkeypatch):
    monkeypatch.setattr("machines.progress.Progress.can_expire", property(lambda saga: saga.may("expire")))
    result = run("order", "--sagas", sagas)
    assert result.exit_code == 1
    assert "order v1 is not searched, because the search of sale v1 is no proof" in result.stdout


def test_verify_shows_its_progress_on_a_terminal_alone(sagas, monkeypatch):
    silent = run("sale", "--sagas", sagas)
    monkeypatch.setattr("app.cli.verify._REPORT_EVERY_S", 0.0)
    monkeypatch.setattr("app.cli.verify._on_terminal", lambda: True)
    shown = run("sale", "--sagas", sagas)
    assert silent.stderr == ""
    assert "sale v1: " in shown.stderr
    assert " states so far, " in shown.stderr
    assert shown.stderr.endswith("\r"), "the line is erased before the result is written"
    assert shown.stdout.startswith("sale v1: 0 faults; ")


FLAWS = """
from machines import Saga, get, pivot, post, read, text

SHOP = Saga(
    name="shop", version=1, initial="STARTED", completed="DONE", compensated="CANCELLED", data={"who": text()},
    participants=("shop",),
    steps=(
        pivot("pay", post("shop", "/pay"), done="PAID", refused="NO_PAY"),
        read("stock", get("shop", "/stock"), done="DONE"),
    ),
)
"""


@pytest.fixture(scope="module")
def flawed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flawed")
    (folder / "flawed.py").write_text(FLAWS)
    return folder


def test_flaw_of_the_design_is_drawn(flawed, tmp_path):
    drawing = tmp_path / "flaw.svg"
    result = run("shop", "--sagas", flawed, "--draw", drawing)
    assert (result.exit_code, "(pivot too early:stock)" in result.stdout) == (1, True)
    assert "PAID" in drawing.read_text()


def test_flaw_that_no_table_can_have_is_not_accepted(flawed):
    accepted = run("shop", "--sagas", flawed, "--accept", "pivot too early:stock")
    refused = run("shop", "--sagas", flawed, "--accept", "pivot too early:stok")
    assert (accepted.exit_code, refused.exit_code, refused.stderr.count("\n")) == (0, 2, 1)
    assert "'pivot too early:stok' is no flaw" in refused.stderr


def test_table_that_is_not_legal_shows_each_problem(tmp_path):
    (tmp_path / "illegal.py").write_text(FLAWS.replace('("shop",)', '("shop", "bank")').replace('"/pay"', '"pay"'))
    result = run("shop", "--sagas", tmp_path)
    assert (result.exit_code, result.stderr.count("\n"), result.stdout) == (2, 2, "")
