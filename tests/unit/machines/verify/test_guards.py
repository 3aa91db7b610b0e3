"""`saga verify` can fail: it finds each guard of the engine that is taken out, in a small table."""

import pytest

from machines import (
    NEVER,
    REFUSED_UNDO,
    Retry,
    above,
    callback,
    compensatable,
    delete,
    get,
    pivot,
    post,
    present,
    read,
    retriable,
    text,
)
from machines.registry import Registry
from machines.verify import verify
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.guards import GUARDS
from tests.unit.machines.verify.written import passes, source_for

TWICE = Retry(attempts=2)


def plain():
    return saga(
        compensatable("a", post("shop", "/a"), undo=post("shop", "/a/undo"), done="A", refused="NO_A", retry=TWICE),
        pivot("b", post("shop", "/b"), done="B", refused="NO_B", retry=TWICE),
        retriable("c", post("shop", "/c"), done="DONE", retry=TWICE),
    )


def probed():
    return saga(
        pivot("b", post("shop", "/b"), probe=get("shop", "/b"), done="DONE", refused="NO_B", retry=TWICE),
    )


def answered_later():
    later = callback(within_s=60)
    return saga(
        pivot("b", post("shop", "/b"), probe=get("shop", "/b"), later=later, done="DONE", refused="NO_B", retry=TWICE),
    )


def own_ids():
    make = post("shop", "/a", keeps={"id": text()}, means={422: REFUSED_UNDO})
    return saga(
        compensatable(
            "a", make, undo=delete("shop", "/a/{a.id}"), repeatable=True, done="A", refused="NO_A", retry=TWICE
        ),
        pivot("b", post("shop", "/b"), done="DONE", refused="NO_B", retry=TWICE),
    )


def without_keys():
    return saga(pivot("b", post("shop", "/b"), done="DONE", refused="NO_B", retry=NEVER))


def conditions():
    undo = post("shop", "/undo")
    return saga(
        read("a", get("shop", "/a"), done="A", refused="NO_A"),
        compensatable("b", post("shop", "/b"), undo=undo, done="B", refused="NO_B", when=present("a.id")),
        compensatable("c", post("shop", "/c"), undo=undo, done="DONE", refused="NO_C", when=above("client_id", 4)),
    )


TABLES = {
    "a_lost_reply_is_recovered_before_its_undo": own_ids,
    "a_conflict_at_a_repeated_key_proves_nothing": own_ids,
    "what_a_refusal_leaves_behind_is_undone": own_ids,
    "a_condition_that_does_not_hold_skips_the_step": conditions,
    "a_condition_sees_the_reply_of_its_own_commit": conditions,
    "a_skipped_step_is_not_undone": conditions,
    "a_process_that_takes_over_knows_what_was_skipped": conditions,
    "a_probe_that_finds_nothing_proves_nothing": answered_later,
    "a_pivot_in_doubt_ends_after_the_deadline": probed,
    "a_call_without_keys_is_sent_once": without_keys,
}


@pytest.mark.parametrize("table", [plain, probed, answered_later, own_ids, without_keys, conditions])
def test_engine_with_every_guard_has_no_fault(table):
    result = verify(table())
    assert (result.faults, result.complete, result.unreached) == ([], True, ())


@pytest.mark.parametrize("guard", GUARDS)
def test_verify_finds_a_guard_that_is_taken_out_and_writes_its_test(guard):
    make = TABLES.get(guard, plain)
    with pytest.MonkeyPatch.context() as patch:
        GUARDS[guard](patch)
        table = make()
        result = verify(table, most_states=60_000)
        assert result.faults
        assert result.faults[0].broken != "no error", result.faults[0].why
        source = source_for(result, Registry([table]))
        assert not passes(source, Registry([table]))
    assert passes(source, Registry([make()]))


def found_by_a_probe():
    make = post("shop", "/a", keeps={"id": text()})
    found = get("shop", "/a", keeps={"id": text()})
    return saga(
        compensatable(
            "a", make, undo=delete("shop", "/a/{a.id}"), probe=found, done="DONE", refused="NO_A", retry=TWICE
        ),
    )


def test_verify_finds_a_report_that_believes_a_probe_which_found_nothing(monkeypatch):
    assert verify(found_by_a_probe()).findings == []
    monkeypatch.setattr("machines.history.NOTHING_FOUND", "never in a reason")
    assert verify(found_by_a_probe()).faults
