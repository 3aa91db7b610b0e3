"""The test that `saga verify` writes for a fault: it fails with the fault, and passes without it.

test_guards.py and test_family_guards.py check the same for each guard of the engine that is taken out.
"""

from dataclasses import replace

import pytest

from machines import Retry, callback, compensatable, pivot, post, sub, wait
from machines.registry import Registry
from machines.verify import UnsayableError, follow, verify
from machines.verify.proving import Proofs
from machines.verify.sayable import check_sayable
from machines.verify.words import lines_of, sentence
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
    assert follow(SOUND, "The saga is stored in STARTED.", "The deadline of the saga is over.", repeats_from=1) is None


OTHER_NAMES = {
    "no path has such a sentence": "Bananas.",
    "there is no state BOOKED": "Another process claims the saga in BOOKED.",
    "there is no state SOLD": "The call of a is sent; the participant does it, and the process gets: 200. "
    "The saga is stored in A. The saga is stored in SOLD and released.",
    "there is no step pay": "The delayed call of pay arrives late, and is done.",
    "there is no step book": "The call of book is sent; it is delayed, and no answer comes.",
    "there is no step all": "Child 1 of all is compensated.",
}


@pytest.mark.parametrize("problem", OTHER_NAMES)
def test_sentence_that_the_table_cannot_say_is_an_error(problem):
    with pytest.raises(UnsayableError, match=f"{problem}, .*write it again with saga verify"):
        follow(SOUND, "The saga is stored in STARTED.", OTHER_NAMES[problem])


def sentences(search, most_states):
    """Yield the sentence of each event of the first states of a search."""
    worlds = list(search.moves.starts())
    for world in worlds:
        for edge in search.moves.of(world):
            yield sentence(edge.event)
            if len(worlds) < most_states and edge.world not in worlds:
                worlds.append(edge.world)


def test_each_sentence_of_a_search_is_one_that_its_table_can_say():
    child = saga(SOUND.steps[0], name="child", completed="A")
    table = saga(
        wait("w", signal="w", within_s=50, done="W", refused="NO_W"),
        sub("part", saga="child", data={"client_id": "client_id"}, done="PART", refused="NO_PART"),
        pivot("b", post("shop", "/b"), done="DONE", refused="NO_B", later=callback(within_s=50)),
    )
    registry = Registry([table, child])
    proofs = Proofs(registry)
    proofs.prove(child, as_child=True)
    said = set(sentences(next(proofs.searches(table)), 400))
    assert len(said) > 100
    check_sayable(table, registry, sorted(said))


@pytest.mark.parametrize(
    ("said", "problem"), [("Bananas.", "no flaw has such a sentence"), ("price is read.", "there is no step price")]
)
def test_sentence_of_a_flaw_that_the_table_cannot_say_is_an_error(said, problem):
    with pytest.raises(UnsayableError, match=problem):
        follow(SOUND, said, design=True)
