"""The properties can fail: when a guard is removed, one of them fails within 2,500 examples."""

import pytest
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy.exc import IntegrityError

from tests.property import wait_mutants
from tests.property.mutants import GUARDS
from tests.property.participant import Fault
from tests.property.stable import stable
from tests.property.tables import COMPENSATABLE, PAUSE, PIVOT, RETRIABLE, WAIT, StepLine, When

STABLE = stable(2500)


#: A table that needs every guard. Each call has two attempts, the fewest with which a call is ever repeated.
LINES = [StepLine(kind, attempts=2) for kind in (COMPENSATABLE, PIVOT, RETRIABLE)]
#: A table for the guards of own ids and of refusals that leave something behind. The attempts are as above.
OWN_IDS = [StepLine(COMPENSATABLE, attempts=2, own_id=True, leaves=True), StepLine(PIVOT, attempts=2)]
#: A table for the guards of conditions.
CONDITIONS = [
    StepLine(COMPENSATABLE),
    StepLine(COMPENSATABLE, asks=0, when=When.ASKED),
    StepLine(COMPENSATABLE, when=When.FAILS),
    StepLine(COMPENSATABLE, asks=2, when=When.ASKED),
    StepLine(PIVOT, when=When.HOLDS),
]
#: Tables for the guards of waits.
CALLED_BACK = [StepLine(COMPENSATABLE, attempts=2, later="callback"), StepLine(PIVOT, attempts=2, later="callback")]
POLLED = [StepLine(COMPENSATABLE, attempts=2, later="poll"), StepLine(PIVOT, attempts=2, later="poll")]
SIGNALLED = [StepLine(COMPENSATABLE, attempts=2), StepLine(WAIT), StepLine(PAUSE), StepLine(PIVOT, attempts=2)]
#: Tables of one step, for the guards of pivots.
PIVOT_ALONE = [StepLine(PIVOT, attempts=2)]
PROBED = [StepLine(PIVOT, attempts=1, probe=True)]
#: Guard → the table, and the faults with which each example begins, where drawn faults would show it too rarely.
OPENINGS = {
    "a_pivot_of_unknown_outcome_is_stuck": (PIVOT_ALONE, [(0, Fault.FAILS_AFTER, 2)]),
    "a_refused_pivot_that_may_have_happened_is_stuck": (
        PIVOT_ALONE,
        [(0, Fault.FAILS_AFTER, 1), (0, Fault.ALREADY, 1)],
    ),
    "a_compensation_that_is_refused_is_not_sent_again": (LINES[:2], [(1, Fault.REFUSES, 4)]),
    "a_conflict_at_a_repeated_key_proves_nothing": (OWN_IDS, [(0, Fault.LOSES_REPLY, 2), (0, Fault.ALREADY, 1)]),
    "what_a_refusal_leaves_behind_is_undone": (OWN_IDS, [(0, Fault.LEAVES, 1)]),
    "an_answer_that_it_had_not_happened_is_not_taken_for_the_contrary": (
        PROBED,
        [(0, Fault.FAILS_BEFORE, 2), (9, Fault.NONE, 0)],
    ),
}
#: Guards of waits that need another table than SIGNALLED.
TABLES_OF_WAITS = {
    "the_first_of_two_answers_counts": CALLED_BACK,
    "an_answer_ends_the_wait": CALLED_BACK,
    "an_accepted_call_may_have_worked": CALLED_BACK,
    "an_accepted_call_without_an_answer_is_in_doubt": CALLED_BACK,
    "a_poll_without_an_answer_proves_nothing": POLLED,
}
#: Without this guard, a write of a process that no longer owns the saga can meet the primary key of the journal.
FOUND_BY = {"a_write_names_epoch_and_version": (AssertionError, IntegrityError)}
GUARDS_OF_CONDITIONS = {
    "a_condition_that_does_not_hold_skips_the_step",
    "a_condition_sees_the_reply_of_its_own_commit",
    "a_skipped_step_is_not_undone",
    "a_process_that_takes_over_knows_what_was_skipped",
}
GUARDS_OF_OWN_IDS = {
    "a_lost_reply_is_recovered_before_its_undo",
    "a_conflict_at_a_repeated_key_proves_nothing",
    "what_a_refusal_leaves_behind_is_undone",
}


def lines_for(guard: str) -> list[StepLine]:
    if guard in OPENINGS:
        return OPENINGS[guard][0]
    if guard in GUARDS_OF_OWN_IDS:
        return OWN_IDS
    if guard in GUARDS_OF_CONDITIONS:
        return CONDITIONS
    return TABLES_OF_WAITS.get(guard, SIGNALLED if hasattr(wait_mutants, guard) else LINES)


@pytest.mark.parametrize("guard", GUARDS)
def test_property_fails_without_a_guard(chaos, monkeypatch, guard):
    monkeypatch.setattr("tests.property.chaos.drawn", lambda _lines: lines_for(guard))
    monkeypatch.setattr("tests.property.chaos.opening", OPENINGS[guard][1] if guard in OPENINGS else [])
    GUARDS[guard](monkeypatch)
    with pytest.raises(FOUND_BY.get(guard, AssertionError)):
        run_state_machine_as_test(chaos, settings=STABLE)
