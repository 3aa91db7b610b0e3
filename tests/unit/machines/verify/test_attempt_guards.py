"""`saga verify` finds an engine that sends a call too often, or gives it up too early."""

import pytest

from machines import NEVER, Retry, attempts, compensatable, delete, get, pivot, post, read, text
from machines.attempts import Attempts
from machines.loop import Loop
from machines.progress import Progress
from machines.verify import verify
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.family_guards import Guard
from tests.unit.machines.verify.written import faults_without

TWICE = Retry(attempts=2)
PROBE = get("shop", "/a/{saga.id}")
MAKE, UNDO = post("shop", "/a"), post("shop", "/a/undo")


def selling(*steps, **columns):
    usual = {"done": "DONE", "refused": "NO_B", "retry": TWICE}
    return saga(*steps, pivot("b", post("shop", "/b"), **(usual | columns)))


def made(make=MAKE, undo=UNDO, **columns):
    return compensatable("a", make, undo=undo, done="A", refused="NO_A", retry=TWICE, **columns)


def keeping():
    make, undo = post("shop", "/a", keeps={"id": text()}), delete("shop", "/a/{a.id}")
    return selling(made(make, undo, repeatable=True))


TABLES = {
    "plain": lambda: selling(made()),
    "probed": lambda: selling(made(probe=PROBE), probe=PROBE),
    "once": lambda: selling(probe=PROBE, retry=NEVER),
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
    "a_wait_that_a_participant_asks_for_is_no_attempt": Guard(
        owner=Loop, function="_advance", table="plain", text="asks_to_wait=reply.asks_to_wait,\n", without="",
    ),
    "a_last_probe_that_is_not_sent_is_sent_later": Guard(
        owner=attempts, function="_not_again", table="once", text="outcome is Outcome.NOT_SENT or", without="",
    ),
    "a_last_probe_waits_when_it_is_asked_to": Guard(
        owner=attempts, function="_not_again", table="once", text=" or reply.asks_to_wait", without="",
    ),
    "a_probe_in_doubt_after_a_refusal_is_in_doubt": Guard(
        owner=Attempts, function="_doubted", table="probed",
        text="return replace(reply, says=says), outcome", without="return replace(refused, says=says), Outcome.REFUSED",
    ),
    "a_pivot_that_is_refused_at_once_is_not_stuck": Guard(
        owner=Progress, function="_trigger_of", table="plain", text="self.in_doubt and", without="",
    ),
    "a_step_that_is_refused_at_once_is_not_undone": Guard(
        owner=Progress, function="pass_on", table="plain", text="elif including and", without="elif",
    ),
    "a_saga_is_claimed_as_often_as_allowed": Guard(
        owner=Loop, function="_quarantine", table="plain", text="> self.max_claims", without=">= self.max_claims",
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_engine_with_every_guard_has_no_fault(table):
    result = verify(TABLES[table]())
    assert (result.faults, result.complete) == ([], True)


@pytest.mark.parametrize("guard", GUARDS)
def test_verify_finds_a_guard_of_the_attempts_and_writes_its_test(guard):
    (fault,) = faults_without(GUARDS[guard], TABLES[GUARDS[guard].table], most_states=20_000)
    assert fault.broken == "as often"
    assert len(fault.path) <= 6
