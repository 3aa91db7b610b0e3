import sys
from pathlib import Path

import pytest

from app.cli.places import place_of
from machines.checkout import CHECKOUT
from machines.discovery import discover, problems
from machines.registry import BadTablesError

TABLE = """
from machines.call import post
from machines.fields import text
from machines.saga import Saga
from machines.step import pivot

{name} = Saga(
    name="{name}", version=1, initial="ASKED", completed="DONE", compensated="CANCELLED",
    data={{"city": text()}}, participants=("shop",),
    steps=(pivot("go", post("shop", "/go", city="city"), done="DONE", refused="NO"),),
)
"""


@pytest.fixture(autouse=True)
def forgotten():
    """Before the test, remove modules of other folders. After the test, remove the modules that it has imported."""
    for name in [name for name in sys.modules if name.split(".")[0] == "sagas"]:
        del sys.modules[name]  # another test of this process left them
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trip.py").write_text(TABLE.format(name="trip"))
    return tmp_path


def test_sagas_of_a_folder_replace_the_samples(folder):
    assert discover(str(folder)).names == ["trip"]


def test_sagas_of_a_folder_stand_beside_the_samples(folder):
    registry = discover(f"samples, {folder}")
    assert CHECKOUT in registry
    assert registry.latest("trip").completed == "DONE"


def test_samples_are_found_without_a_setting(monkeypatch):
    monkeypatch.delenv("SAGAS", raising=False)
    assert CHECKOUT in discover()


def test_setting_names_the_tables(folder, monkeypatch):
    monkeypatch.setenv("SAGAS", str(folder))
    assert discover().names == ["trip"]


def test_sagas_of_several_folders_are_found(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "ride.py").write_text(TABLE.format(name="ride"))
    assert discover(f"{folder},{other}").names == ["ride", "trip"]


def test_one_file_of_a_folder_imports_from_another(folder):
    (folder / "again.py").write_text("from sagas.trip import trip\n")
    assert discover(str(folder)).names == ["trip"]


def test_tests_in_a_folder_are_not_imported(folder):
    (folder / "test_trip.py").write_text("raise AssertionError\n")
    (folder / "conftest.py").write_text("raise AssertionError\n")
    assert discover(str(folder)).names == ["trip"]


@pytest.mark.parametrize("source", ["shop_of_test.sagas", "shop_of_test.sagas.trip"])
def test_sagas_of_a_package_and_of_a_module_are_found(tmp_path, monkeypatch, source):
    package = tmp_path / "shop_of_test" / "sagas"
    package.mkdir(parents=True)
    for at in (package, package.parent):
        (at / "__init__.py").touch()
    (package / "trip.py").write_text(TABLE.format(name="trip"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert discover(source).names == ["trip"]


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        ("", "SAGAS is empty; name folders or modules with tables, or samples"),
        ("./nowhere", "SAGAS: there is no folder nowhere; name one, or a module such as shop.sagas"),
        ("nowhere_at_all.sagas", "SAGAS: there is no module nowhere_at_all.sagas; check PYTHONPATH, or name a folder"),
        ("json", "SAGAS: json holds no saga; name a folder or a module that defines one"),
    ],
)
def test_source_without_sagas_is_refused(sources, problem):
    with pytest.raises(BadTablesError) as refused:
        discover(sources)
    assert str(refused.value).startswith(problem)


def test_folder_without_its_slash_is_refused(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    with pytest.raises(BadTablesError, match=f"{folder.name} is a folder; write ./{folder.name}"):
        discover(folder.name)


def test_two_folders_with_one_file_name_are_refused(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "trip.py").write_text(TABLE.format(name="ride"))
    with pytest.raises(BadTablesError, match=r"both have trip\.py; rename one of them"):
        discover(f"{folder},{other}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = (\n", r"^/.*/trip\.py, line 1: SyntaxError: '\(' was never closed$"),
        ("\n1 / 0\n", r"^/.*/trip\.py, line 2: ZeroDivisionError: division by zero$"),
        ("import json\n\njson.loads('{')\n", r"^/.*/trip\.py, line 3: JSONDecodeError: Expecting property name"),
        ("raise SystemExit(3)\n", r"^/.*/trip\.py, line 1: SystemExit: 3$"),
        ("import no_such_library\n", r"^/.*/trip\.py, line 1: ModuleNotFoundError: No module named 'no_such_library'$"),
        (TABLE.format(name="trip").replace('"/go"', '"go"'), r"^trip v1: step go: path 'go' must begin with a slash"),
    ],
)
def test_file_that_cannot_be_read_is_refused_in_one_line(folder, text, problem):
    (folder / "trip.py").write_text(text)
    with pytest.raises(BadTablesError, match=problem):
        discover(str(folder))


def test_the_file_with_the_error_is_named_and_not_the_one_that_imports_it(folder, monkeypatch):
    (folder / "parts.py").write_text("\n\n1 / 0\n")
    (folder / "again.py").write_text("from sagas.parts import x\n")
    monkeypatch.chdir(folder)
    assert problems("./") == ["parts.py, line 3: ZeroDivisionError: division by zero"]


def test_every_problem_of_every_table_is_listed(folder):
    bad = TABLE.replace('"/go", city="city"', '"go", city="town"')
    (folder / "more.py").write_text(bad.format(name="ride") + bad.format(name="walk") + "1 / 0\n")
    found = problems(str(folder))
    line = len((folder / "more.py").read_text().splitlines())
    assert [problem.partition("; ")[0] for problem in found] == [
        "ride v1: step go: path 'go' must begin with a slash", "ride v1: step go: 'town' is no field of data",
        "walk v1: step go: path 'go' must begin with a slash", "walk v1: step go: 'town' is no field of data",
        f"{folder}/more.py, line {line}: ZeroDivisionError: division by zero",
    ]  # fmt: skip


def test_an_illegal_table_is_refused_after_its_problems_were_listed(folder):
    (folder / "trip.py").write_text(TABLE.format(name="trip").replace("refused", "refuse"))
    (folder / "again.py").write_text("from sagas.trip import trip\n")
    (problem,) = problems(str(folder))
    assert problem.startswith(
        "trip v1: step go: pivot() has no refuse=, did you mean refused=?; pivot() lacks refused=; "
    )
    with pytest.raises(BadTablesError, match=r"^trip v1: step go: "):
        discover(str(folder))


def test_a_saga_with_a_word_that_does_not_exist_hides_no_other_table(folder):
    text = TABLE.format(name="trip")
    (folder / "trip.py").write_text(text.replace("version=1", "versoin=1") + text.replace('"/go"', '"go"'))
    first, second = problems(str(folder))
    assert first.startswith("trip: Saga() has no versoin=, did you mean version=?; Saga() lacks version=; ")
    assert second == "trip v1: step go: path 'go' must begin with a slash"


def test_every_pair_of_tables_that_does_not_fit_is_listed(folder):
    ride = TABLE.format(name="ride")
    for name in ("one", "two"):
        (folder / f"{name}.py").write_text(TABLE.format(name="trip") + ride)
    twice = "is defined twice; give the newer one the next version"
    assert set(problems(str(folder))) == {f"trip v1 {twice}", f"ride v1 {twice}"}


FAMILY = """
from machines import Saga, compensatable, each, list_of, post, sub, text, together

def step(name, keeps=None, **sent):
    return compensatable(
        name, post("shop", "/" + name, keeps=keeps or {}, **sent), undo=post("shop", "/undo"),
        done=name.upper(), refused="NO_" + name.upper(),
    )

FAMILY = Saga(
    name="family", version=1, initial="ASKED", completed="ALL", compensated="OFF", participants=("shop",),
    data={"lines": list_of({"sku": text()})},
    steps=(
        WRONG
        sub("leave", done="LEFT", refused="STAYED"),
        sub("trip", done="TRIPPED", refused="NO_TRIP"),
        sub("none", done="NONE", refused="NOT_NONE"),
        together(step("a", x="lins"), step("b", y="item.sku"), name="both", done="BOTH", refused="NOT_BOTH"),
        each("lines", step("c", z="item.sko"), done="ALL", refused="NOT_ALL"),
    ),
)
"""


@pytest.mark.parametrize("wrong", ["", 'step("first", p="lnes"),'])
def test_problems_of_branches_and_of_two_tables_are_listed_together(folder, wrong):
    (folder / "family.py").write_text(FAMILY.replace("WRONG", wrong))
    (folder / "leave.py").write_text(TABLE.format(name="leave").replace("version=1", "version=0"))
    (folder / "other.py").write_text(TABLE.format(name="other").replace("deadline_s", "deadlin"))
    found = "\n".join(problems(str(folder)))
    for problem in (
        "family.both.a v1: step a: 'lins' is no field of data",
        "family.both.b v1: step b: 'item.sku' is known within each() and each_item() alone",
        "family.c v1: step c: 'item.sko' names no field",
        "family v1: step trip: data= lacks 'city'",
        "family v1: step none: it starts 'none', which is no saga",
        "leave v0: version=0",
        *(["family v1: step first: 'lnes' is no field of data"] if wrong else []),
    ):
        assert problem in found, problem
    assert "'leave', which is no saga" not in found, "its table is only illegal"


def test_a_saga_of_a_file_that_cannot_be_read_is_not_missing(folder):
    (folder / "family.py").write_text(FAMILY.replace("WRONG", ""))
    (folder / "leave.py").write_text("1 / 0")
    found = "\n".join(problems(str(folder)))
    assert "which is no saga" not in found
    assert "'item.sko' names no field" in found


def test_a_problem_of_a_branch_names_no_place_in_the_code_of_the_service(folder):
    (folder / "family.py").write_text(FAMILY.replace("WRONG", ""))
    (problem,) = [each for each in problems(str(folder)) if "item.sko" in each]
    assert place_of(problem) is None
