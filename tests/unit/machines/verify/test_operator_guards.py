"""`saga verify` finds what an operator's resolve loses, and a resolve that lacks what later calls need."""

import pytest

from machines import Retry, compensatable, delete, history, loop, pivot, post, restoring, text
from machines.verify import journals, machinery, verify
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.family_guards import Guard
from tests.unit.machines.verify.written import faults_without

TWICE = Retry(attempts=2)


def keeping():
    make = post("shop", "/a", keeps={"id": text()})
    return saga(
        compensatable("a", make, undo=delete("shop", "/a/{a.id}"), repeatable=True, done="A", refused="NO_A",
                      retry=TWICE),
        pivot("b", post("shop", "/b", id="a.id"), done="DONE", refused="NO_B", retry=TWICE),
    )  # fmt: skip


GUARDS = {
    "the_reply_that_a_person_gives_is_restored": Guard(
        owner=history, function="replies", users=(restoring, machinery, journals), table="keeping",
        text="row.trigger in DONE or", without='row.trigger == "succeeded" or',
    ),
    "a_person_gives_what_later_calls_need": Guard(
        owner=loop, function="_resolved", table="keeping", text="if lacking", without="if False",
    ),
}  # fmt: skip


@pytest.mark.parametrize("guard", GUARDS)
def test_verify_finds_a_guard_of_operators_and_writes_its_test(guard):
    (fault,) = faults_without(GUARDS[guard], keeping, most_states=20_000)
    assert len(fault.path) <= 7
    found = verify(keeping())
    assert (found.faults, found.complete) == ([], True)
