"""The journal of every outcome of every table, replayed: the written test passes, and its saga goes the same way."""

import runpy
from pathlib import Path

import pytest

from machines.discovery import discover
from machines.replay.playing import difference, play
from machines.replay.recording import recording
from machines.replay.source import source_of
from machines.replay.stand_ins import StandIns, redacted
from machines.testing import every_outcome
from machines.testing.scenario import given
from tests.support.journals import journal_of

ROOT = Path(__file__).parents[4]
PLACES = ("samples", str(ROOT / "docs/examples/sagas"), str(ROOT / "docs/examples/own-repository/sagas"))


def runnable(table):
    try:
        given(table)
    except ValueError:
        return False
    return True


TABLES = [(place, table) for place in PLACES for table in discover(place) if runnable(table)]


@pytest.mark.parametrize(("place", "table"), TABLES, ids=[str(table) for _, table in TABLES])
def test_written_file_passes_for_every_outcome(place, table, tmp_path):
    for number, scenario in enumerate(every_outcome(table)):
        run = scenario.run().after(days=1)
        played = play(recording(table, scenario.data, journal_of(run)))
        assert difference(played) is None, scenario.name
        file = tmp_path / f"test_{number}.py"
        file.write_text(source_of(played, None, title=scenario.name, sagas=place))
        run_file(file)


@pytest.mark.parametrize(("place", "table"), TABLES, ids=[str(table) for _, table in TABLES])
def test_redacted_saga_goes_the_same_way(place, table):
    for scenario in every_outcome(table):
        data, journal = redacted(table, scenario.data, journal_of(scenario.run()), StandIns())
        assert difference(play(recording(table, data, journal))) is None, scenario.name


def run_file(file):
    tests = [member for name, member in runpy.run_path(str(file)).items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()
