"""The test that `saga verify` writes for a fault: it fails with the fault, and passes without it.

test_guards.py and test_family_guards.py check the same for each guard of the engine that is taken out.
"""

from dataclasses import replace

import pytest

from machines import Retry, compensatable, pivot, post
from machines.registry import Registry
from machines.verify import follow, verify
from machines.verify.words import lines_of
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.test_meanings import UNTRUE
from tests.unit.machines.verify.written import passes, source_for

TWICE = Retry(attempts=2)


def mended(table):
    """Return the table without any means=."""
    steps = []
    for step in table.steps:
        calls = {name: getattr(step, name) for name in ("call", "undo", "probe") if getattr(step, name) is not None}
        later = step.later and replace(step.later, asks=replace(step.later.asks, means={}))
        steps.append(replace(step, **{name: replace(call, means={}) for name, call in calls.items()}, later=later))
    return replace(table, steps=tuple(steps))


@pytest.mark.parametrize("subject", UNTRUE)
def test_written_test_fails_until_the_table_is_mended(subject):
    faulty = UNTRUE[subject]
    source = source_for(verify(faulty), Registry([faulty]))
    assert not passes(source, Registry([faulty]))
    assert passes(source, Registry([mended(faulty)]))


def test_written_test_has_the_words_of_an_author_where_they_say_it():
    source = source_for(verify(UNTRUE["sell 500"]), Registry([UNTRUE["sell 500"]]))
    assert "given(TABLE).when(sell=[replies(500, acts=True)]).allowing_unused().run()" in source


def test_written_test_follows_the_sentences_of_the_path_elsewhere():
    faulty = UNTRUE["poll sell 404"]
    result = verify(faulty)
    source = source_for(result, Registry([faulty]))
    assert "from machines.verify import follow" in source
    assert all(line.split(". ", 1)[1] in source for line in lines_of(result.faults[0]))


SOUND = saga(
    compensatable("a", post("shop", "/a"), undo=post("shop", "/a/undo"), done="A", refused="NO_A", retry=TWICE),
    pivot("b", post("shop", "/b"), done="DONE", refused="NO_B", retry=TWICE),
)


def test_path_of_a_sound_table_breaks_nothing():
    done = "The call of a is sent; the participant does it, and the process gets: 200. The saga is stored in A."
    assert follow(SOUND, "The saga is stored in STARTED.", done) is None


def test_path_that_the_saga_does_not_go_breaks_nothing():
    assert follow(SOUND, "The saga is stored in STARTED.", "It rains.", repeats_from=1) is None
