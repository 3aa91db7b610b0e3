import sys

import pytest

import machines
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.fields import integer
from machines.registry import BadTablesError, Registry, UnknownSagaError
from machines.saga import Saga
from tests.unit.machines.tables import look, saga

TRIAL = """
from machines.call import get
from machines.fields import integer
from machines.saga import Saga
from machines.step import read

TRIAL = Saga(
    name="trial", version=1, initial="STARTED", completed="DONE", compensated="CANCELLED",
    data={"client_id": integer()}, participants=("shop",),
    steps=(read("look", get("shop", "/{client_id}"), done="DONE", refused="NO_LOOK"),),
)
"""


@pytest.fixture
def new_file(tmp_path, monkeypatch):
    """Return a function that adds a file to machines/ for the time of the test."""
    monkeypatch.setattr(machines, "__path__", [*machines.__path__, str(tmp_path)])

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    yield write
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(f"machines.{file.stem}", None)
        vars(machines).pop(file.stem, None)


def test_the_checkout_is_found():
    assert discover().get("checkout", 1) is CHECKOUT


def test_new_file_is_found_without_other_changes(new_file):
    new_file("a_trial", TRIAL)
    assert discover().latest("trial").completed == "DONE"
    assert discover().get("checkout", 1) is CHECKOUT


def test_a_file_that_is_gone_is_not_found():
    assert not [definition for definition in discover() if definition.name == "trial"]


def test_saga_defined_in_two_imports_is_registered_once(new_file):
    new_file("a_trial", TRIAL)
    new_file("a_trial_again", "from machines.a_trial import TRIAL\n")
    assert [definition.name for definition in discover()].count("trial") == 1


def test_two_files_that_define_one_version_are_refused(new_file):
    new_file("a_trial", TRIAL)
    new_file("a_trial_again", TRIAL)
    with pytest.raises(ValueError, match=r"^trial v1 is defined twice; give the newer one the next version$"):
        discover()


def begun(name: str, version: int = 1, started_by: str | None = "OrderPlaced"):
    return Saga(
        name=name, version=version, initial="STARTED", completed="DONE", compensated="CANCELLED",
        started_by=started_by, data={"client_id": integer()}, participants=("shop",), steps=(look(done="DONE"),),
    )  # fmt: skip


def test_two_sagas_started_by_one_event_are_refused():
    with pytest.raises(BadTablesError, match=r"both started_by='OrderPlaced'.*let each have an event of its own"):
        Registry([begun("sale"), begun("gift")])


def test_event_starts_only_the_latest_version():
    assert Registry([begun("sale"), latest := begun("sale", 2)]).started_by_event == {"OrderPlaced": latest}
    registry = Registry([begun("sale"), begun("sale", 2, None), other := begun("gift")])
    assert registry.started_by_event == {"OrderPlaced": other}


def test_an_illegal_table_is_refused_when_its_file_is_found(new_file):
    new_file("a_trial", TRIAL.replace('get("shop"', 'get("shpo"'))
    with pytest.raises(ValueError, match=r"^trial v1: step look: participant 'shpo' is not registered"):
        discover()


def test_new_saga_has_the_highest_version_and_old_ones_stay():
    versions = [saga(look(), version=version) for version in (2, 10, 9)]
    registry = Registry([*versions, saga(look(), name="other", version=11)])
    assert registry.latest("sale") is versions[1]
    assert [registry.get("sale", version) for version in (2, 10, 9)] == versions
    assert len(list(registry)) == 4


@pytest.mark.parametrize("version", [2, 0])
def test_an_unknown_version_is_named(version):
    with pytest.raises(UnknownSagaError, match=f"saga checkout v{version} is not defined"):
        Registry([CHECKOUT]).get("checkout", version)


def test_an_unknown_saga_is_named():
    with pytest.raises(UnknownSagaError, match="saga nothing"):
        Registry([CHECKOUT]).latest("nothing")
