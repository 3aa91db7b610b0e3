"""`saga verify` finds an engine that sends a call too often, or gives it up too early."""

import pytest

from machines import Retry, compensatable, delete, get, pivot, post, read, text
from machines.attempts import Attempts
from machines.loop import Loop
from machines.progress import Progress
from machines.registry import Registry
from machines.verify import verify
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.family_guards import Guard
from tests.unit.machines.verify.written import passes, source_for

TWICE = Retry(attempts=2)
MAKE, UNDO = post("shop", "/a"), post("shop", "/a/undo")


def selling(*steps):
    return saga(*steps, pivot("b", post("shop", "/b"), done="DONE", refused="NO_B", retry=TWICE))


def made(make=MAKE, undo=UNDO, **columns):
    return compensatable("a", make, undo=undo, done="A", refused="NO_A", retry=TWICE, **columns)


def keeping():
    make, undo = post("shop", "/a", keeps={"id": text()}), delete("shop", "/a/{a.id}")
    return selling(made(make, undo, repeatable=True))


TABLES = {
    "plain": lambda: selling(made()),
    "probed": lambda: selling(made(probe=get("shop", "/a/{saga.id}"))),
    "keeping": keeping,
    "reading": lambda: selling(read("look", get("shop", "/look"), done="SEEN", refused="NO_LOOK")),
}
GUARDS = {
    "no_attempt_follows_the_last_one": Guard(
        owner=Progress, function="_trigger_of", table="plain",
        text="self.failed_attempts + 1 <", without="self.failed_attempts <",
    ),
    "no_attempt_is_missing": Guard(
        owner=Progress, function="_trigger_of", table="plain",
        text="self.failed_attempts + 1 <", without="self.failed_attempts + 2 <",
    ),
    "the_attempts_of_the_next_call_count_from_zero": Guard(
        owner=Progress, function="moved", table="plain",
        text="self.failed_attempts, self.deferrals, self.waits_for = 0, 0, None",
        without="self.deferrals, self.waits_for = 0, None",
    ),
    "a_call_is_sent_again_when_its_probe_does_not_find_it": Guard(
        owner=Attempts, function="_make", table="probed",
        text="if probed and probed[1] is Outcome.SUCCEEDED", without="if probed and probed[1] in DEFINITE",
    ),
    "only_a_probe_follows_the_last_attempt": Guard(
        owner=Attempts, function="_make", table="probed",
        text="saga.failed_attempts >= at", without="saga.failed_attempts > at",
    ),
    "a_lost_reply_is_asked_for_again": Guard(
        owner=Attempts, function="_recover", table="keeping",
        text="outcome = Outcome.IN_DOUBT", without="outcome = Outcome.REFUSED",
    ),
    "an_attempt_is_stored_before_the_wait": Guard(
        owner=Loop, function="_turn", table="plain", text="self.commit(saga, wait_s)", without="pass",
    ),
    "an_attempt_of_a_read_is_stored_before_the_wait": Guard(
        owner=Loop, function="_turn", table="reading", text="self.commit(saga, wait_s)", without="pass",
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_engine_with_every_guard_has_no_fault(table):
    result = verify(TABLES[table]())
    assert (result.faults, result.complete) == ([], True)


@pytest.mark.parametrize("guard", GUARDS)
def test_verify_finds_a_guard_of_the_attempts_and_writes_its_test(guard):
    make = TABLES[GUARDS[guard].table]
    with pytest.MonkeyPatch.context() as patch:
        GUARDS[guard].remove(patch)
        table = make()
        result = verify(table, most_states=20_000)
        assert [each.broken for each in result.faults] == ["as often"]
        assert len(result.faults[0].path) <= 6
        source = source_for(result, Registry([table]))
        assert not passes(source, Registry([table]))
    assert passes(source, Registry([make()]))
