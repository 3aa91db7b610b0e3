"""Guards of the engine that were planted after those of guards.py, each removed from the text of its function."""

import pytest

from machines import (
    REFUSED,
    REFUSED_UNDO,
    SUCCEEDED,
    Retry,
    approval,
    boolean,
    callback,
    choice,
    compensatable,
    delete,
    get,
    optional,
    pause,
    pivot,
    poll,
    post,
    put,
    restoring,
    text,
    transitions,
    wait,
)
from machines import attempts as attempts_module
from machines import replies as replies_module
from machines.attempts import Attempts
from machines.loop import Loop
from machines.progress import Progress
from machines.verify import machinery, verify
from machines.waiting import Waiting
from machines.waits import Waits
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.family_guards import Guard
from tests.unit.machines.verify.test_guards import answered_later, plain, without_keys
from tests.unit.machines.verify.test_meanings import polling, selling
from tests.unit.machines.verify.written import faults_without

TWICE = Retry(attempts=2)


def accepted():
    later = callback(within_s=60)
    return saga(
        compensatable(
            "a", post("shop", "/a"), undo=post("shop", "/a/undo"), later=later, done="A", refused="NO_A", retry=TWICE
        ),
        pivot("b", post("shop", "/b"), done="DONE", refused="NO_B", retry=TWICE),
    )


def accepted_pivot():
    return selling(later=callback(within_s=60))


def named_by_a_missing_field():
    return selling({"id": {None: REFUSED}}, keeps={"id": text()})


def before_a_pivot(step):
    return saga(step, pivot("b", post("shop", "/b"), done="DONE", refused="NO_B", retry=TWICE))


def approved():
    return before_a_pivot(approval("ok", role="operator", within_s=60, done="OK", refused="NO_OK"))


def signalled():
    agreed = {"agrees": {False: REFUSED}}
    return before_a_pivot(
        wait("ok", signal="ok", within_s=60, brings={"agrees": boolean()}, means=agreed, done="OK", refused="NO_OK")
    )


def signalled_by_a_text():
    said = {"answer": {"no": REFUSED}}
    return before_a_pivot(
        wait("ok", signal="ok", within_s=60, brings={"answer": text()}, means=said, done="OK", refused="NO_OK")
    )


def signalled_by_two_fields():
    said = {"agrees": {False: REFUSED}, "mood": {"bad": REFUSED}}
    brought = {"agrees": optional(boolean()), "mood": choice("good", "bad")}
    return before_a_pivot(wait("ok", signal="ok", within_s=60, brings=brought, means=said, done="OK", refused="NO_OK"))


def signalled_after_the_pivot():
    return saga(
        pivot("b", post("shop", "/b"), done="B", refused="NO_B", retry=TWICE),
        wait("ok", signal="ok", within_s=60, done="DONE"),
    )


def keeping(means=None):
    make = post("shop", "/a", keeps={"id": text()}, means=means or {})
    return saga(
        compensatable("a", make, undo=post("shop", "/a/undo", id="a.id"), repeatable=True, done="A", refused="NO_A",
                      retry=TWICE),
        pivot("b", post("shop", "/b"), done="DONE", refused="NO_B", retry=TWICE),
    )  # fmt: skip


POLL = poll(get("shop", "/a"), every_s=5, within_s=60)


def kept_later(later):
    make = post("shop", "/a", keeps={"id": text()})
    return before_a_pivot(
        compensatable("a", make, undo=delete("shop", "/a/{a.id}"), repeatable=True, later=later, done="A",
                      refused="NO_A", retry=TWICE)
    )  # fmt: skip


def left_later(later):
    make = post("shop", "/a", means={422: REFUSED_UNDO})
    return before_a_pivot(
        compensatable("a", make, undo=post("shop", "/a/undo"), later=later, done="A", refused="NO_A", retry=TWICE)
    )


def signal_used():
    return saga(
        wait("ok", signal="ok", within_s=60, brings={"code": text()}, done="OK", refused="NO_OK"),
        pivot("b", post("shop", "/b", code="ok.code"), done="DONE", refused="NO_B", retry=TWICE),
    )


TABLES = {
    "signal_used": signal_used,
    "kept_later": lambda: kept_later(callback(within_s=60)), "kept_polled": lambda: kept_later(POLL),
    "left_later": lambda: left_later(callback(within_s=60)),
    "left_polled": lambda: left_later(poll(get("shop", "/a", means={422: REFUSED_UNDO}), every_s=5, within_s=60)),
    "keeping": keeping, "keeping_what_is_named": lambda: keeping({409: SUCCEEDED}),
    "declined": lambda: selling({"declined": {True: REFUSED}}),
    "declined_by_a_text": lambda: selling({"status": {"declined": REFUSED}}),
    "signalled_by_a_text": signalled_by_a_text, "signalled_by_two_fields": signalled_by_two_fields,
    "refused_by_a_field": lambda: selling({409: SUCCEEDED, "code": {"poor": REFUSED}}),
    "deleting": lambda: before_a_pivot(
        compensatable("a", put("shop", "/a/{saga.id}"), undo=delete("shop", "/a/{saga.id}"), done="A", refused="NO_A",
                      retry=TWICE)
    ),
    "approved": approved, "signalled": signalled, "signalled_after_the_pivot": signalled_after_the_pivot,
    "paused": lambda: before_a_pivot(pause("ok", for_s=60, done="OK", refused="NO_OK")),
    "plain": plain, "accepted": accepted, "accepted_pivot": accepted_pivot, "answered_later": answered_later,
    "without_keys": without_keys, "polled": lambda: polling({}), "missing_field": named_by_a_missing_field,
}  # fmt: skip
NAMED = "meant == value and type(meant) is type(value)"
GUARDS = {
    "a_number_in_a_reply_is_no_boolean": Guard(
        owner=replies_module, function="_meant_by_field", table="declined", text=NAMED, without="meant == value",
    ),
    "a_text_in_a_reply_is_named_with_its_case": Guard(
        owner=replies_module, function="_meant_by_field", table="declined_by_a_text", text=NAMED,
        without="str(meant).casefold() == str(value).casefold()",
    ),
    "a_text_in_a_reply_is_named_to_its_end": Guard(
        owner=replies_module, function="_meant_by_field", table="declined_by_a_text", text=NAMED,
        without="str(value).startswith(str(meant))",
    ),
    "a_field_of_a_reply_decides_before_its_status": Guard(
        owner=replies_module, function="_meaning", table="refused_by_a_field",
        text="if found := _meant_by_field(reply, call):",
        without="found = _meant_by_field(reply, call)\n    if found and reply.status not in call.means:",
    ),
    "a_404_of_a_gateway_is_no_answer_of_the_participant": Guard(
        owner=replies_module.Reply, function="turned_away", table="deleting",
        text='return not owned or self.fields.get("message") == NO_ROUTE', without="return not owned",
    ),
    "a_404_without_a_body_is_no_answer_of_the_participant": Guard(
        owner=replies_module.Reply, function="turned_away", table="deleting",
        text="self.blank or self.scalar", without="self.scalar",
    ),
    "a_404_with_a_text_is_no_answer_of_the_participant": Guard(
        owner=replies_module.Reply, function="turned_away", table="deleting",
        text="self.blank or self.scalar", without="self.blank",
    ),
    "a_field_that_a_signal_lacks_says_nothing": Guard(
        owner=Waiting, function="outcome_of", table="signalled_by_two_fields", text="continue",
        without="return SUCCEEDED",
    ),
    "a_text_in_a_signal_is_named_with_its_case": Guard(
        owner=Waiting, function="outcome_of", table="signalled_by_a_text",
        text="type(known) is type(value) and known == value", without="known.casefold() == str(value).casefold()",
    ),
    "a_call_that_a_person_retries_is_in_doubt": Guard(
        owner=Progress, function="moved", table="plain",
        text="self.in_doubt = self.sends_again = trigger == Trigger.RETRY",
        without="self.in_doubt = self.sends_again = False",
    ),
    "a_retry_by_hand_is_one_retry": Guard(
        owner=Progress, function="conclude", table="without_keys",
        text="self.sends_again &= outcome is Outcome.NOT_SENT", without="pass",
    ),
    "an_accepted_call_is_undone_at_the_deadline": Guard(
        owner=Progress, function="give_up", table="accepted",
        text="self._at, self.may_have_worked", without="self._at, self.in_doubt",
    ),
    "only_a_pivot_is_sent_again_after_the_deadline": Guard(
        owner=Progress, function="pivot_in_doubt", table="plain",
        text="self._at.step.kind is Kind.PIVOT", without="self._at.step.kind",
    ),
    "only_a_pivot_that_may_have_worked_is_sent_again_after_the_deadline": Guard(
        owner=Progress, function="pivot_in_doubt", table="plain",
        text="self.in_doubt and self._at.step", without="self._at.step",
    ),
    "a_cancel_undoes_the_call_in_flight": Guard(
        owner=Progress, function="request_move", table="plain", text="including=including", without="including=False",
    ),
    "a_wait_for_seconds_ends_with_the_deadline": Guard(
        owner=Progress, function="conclude", table="plain",
        text="(asks_to_wait and not late)", without="asks_to_wait",
    ),
    "a_202_of_a_callback_is_no_success": Guard(
        owner=Progress, function="_trigger_of", table="accepted_pivot",
        text="return Trigger.ACCEPTED", without="return Trigger.SUCCEEDED",
    ),
    "a_late_probe_that_finds_nothing_proves_nothing": Guard(
        owner=Attempts, function="probe_late", table="answered_later",
        text="return probed if probed[1] is Outcome.SUCCEEDED else _not_again(probed)", without="return probed",
    ),
    "an_answer_that_does_not_come_is_no_refusal": Guard(
        owner=Waits, function="end", table="accepted",
        text="outcome = Outcome.IN_DOUBT", without="outcome = Outcome.REFUSED",
    ),
    "a_signal_that_says_no_refuses": Guard(
        owner=Waits, function="take_arrival", table="signalled",
        text="waits.outcome_of(arrival.body)", without="Outcome.SUCCEEDED",
    ),
    "a_person_who_says_no_refuses": Guard(
        owner=Waiting, function="outcome_of", table="approved", text="return outcome", without="return SUCCEEDED",
    ),
    "an_approval_that_does_not_come_refuses": Guard(
        owner=Waits, function="end", table="approved",
        text="waits.outcome_at_end(can_go_back=saga.may(Trigger.EXPIRE))", without="Outcome.SUCCEEDED",
    ),
    "a_signal_that_does_not_come_after_the_pivot_is_stuck": Guard(
        owner=Waiting, function="outcome_at_end", table="signalled_after_the_pivot",
        text="else IN_DOUBT", without="else SUCCEEDED",
    ),
    "a_wait_lasts_until_its_time_is_over": Guard(
        owner=Waits, function="end", table="paused", text="if left_s > 0", without="if False",
    ),
    "a_signal_is_taken_before_the_deadline": Guard(
        owner=Loop, function="_move_without_call", table="approved",
        text="at.waits and saga.arrived and", without="at.waits and saga.arrived and not self._is_late(saga) and",
    ),
    "an_answer_is_taken_before_the_deadline": Guard(
        owner=Loop, function="_move_without_call", table="accepted",
        text="at.waits and saga.arrived and", without="at.waits and saga.arrived and not self._is_late(saga) and",
    ),
    "a_success_without_a_kept_field_is_in_doubt": Guard(
        owner=replies_module, function="outcome_of", table="keeping", users=(attempts_module,),
        text=" and not lacking", without="",
    ),
    "a_named_success_without_a_kept_field_is_in_doubt": Guard(
        owner=replies_module, function="outcome_of", table="keeping_what_is_named", users=(attempts_module,),
        text="meaning is Outcome.SUCCEEDED and lacking", without="False",
    ),
    "the_probes_of_a_waiting_pivot_end_after_the_deadline": Guard(
        owner=Progress, function="conclude", table="answered_later",
        text="late and (pivot_waits or (", without="late and ((",
    ),
    "a_later_success_without_a_kept_field_is_no_answer": Guard(
        owner=attempts_module, function="later_answer", table="kept_later", users=(machinery,),
        text="outcome = outcome_of(reply, lacking, step.call)", without="outcome = outcome_of(reply, call=step.call)",
    ),
    "a_polled_success_without_a_kept_field_is_no_answer": Guard(
        owner=replies_module, function="outcome_of_poll", table="kept_polled", users=(attempts_module,),
        text="outcome_of(reply, lacking, call", without="outcome_of(reply, NOTHING, call",
    ),
    "what_a_later_refusal_leaves_behind_is_undone": Guard(
        owner=Waits, function="take_answer", table="left_later", text='Outcome(body["outcome"]),',
        without='Outcome.REFUSED if body["outcome"] == Outcome.REFUSED_UNDO else Outcome(body["outcome"]),',
    ),
    "what_a_polled_refusal_leaves_behind_is_undone": Guard(
        owner=Loop, function="_poll", table="left_polled", text="reply, outcome)",
        without="reply, Outcome.REFUSED if outcome is Outcome.REFUSED_UNDO else outcome)",
    ),
    "a_202_without_the_id_is_a_lost_reply": Guard(
        owner=attempts_module, function="_lost_reply", table="kept_polled",
        text="return step.asks is not None and not", without="return False and not",
    ),
    "a_202_of_a_callback_without_the_id_is_not_kept": Guard(
        owner=attempts_module, function="_accepted", table="kept_later",
        text="taken if step.undo_can_use(taken) else None", without="taken",
    ),
    "a_stuck_step_is_undone_itself": Guard(
        owner=transitions, function="_failure", table="plain",
        text="dest=step.undoing)", without="dest=step.undoing if source == failure else back)",
    ),
    "a_person_is_offered_the_way_back_of_a_stuck_step": Guard(
        owner=transitions, function="_failure", table="plain", text="for source in (failure, stuck):",
        without="""yield Transition(source=stuck, trigger=Trigger.COMPENSATE, dest=back)
        for source in (failure,):""",
    ),
    "a_process_that_claims_knows_of_signals": Guard(
        owner=restoring, function="restore", table="approved", users=(machinery,),
        text="row.error, row.arrived,", without="row.error, 0,",
    ),
    "a_process_that_claims_knows_of_answers": Guard(
        owner=restoring, function="restore", table="accepted", users=(machinery,),
        text="row.error, row.arrived,", without="row.error, 0,",
    ),
    "a_call_that_a_person_retries_is_sent": Guard(
        owner=Progress, function="must_not_send", table="without_keys", text=" and not self.sends_again", without="",
    ),
    "a_refusal_ends_the_polls": Guard(
        owner=Loop, function="_poll", table="polled",
        text="if outcome in DEFINITE", without="if outcome is Outcome.SUCCEEDED",
    ),
    "the_body_of_a_signal_is_kept": Guard(
        owner=Waits, function="take_arrival", table="signal_used", text=", body=arrival.body", without="",
    ),
    "the_body_of_an_answer_is_kept": Guard(
        owner=Waits, function="take_answer", table="kept_later", text='body=body["reply"],', without="body=None,",
    ),
    "the_replies_of_a_saga_are_restored": Guard(
        owner=restoring, function="restore", table="signal_used", users=(machinery,),
        text="saga.results = replies(journal)", without="pass",
    ),
    "failed_attempts_are_restored": Guard(
        owner=restoring, function="restore", table="plain", users=(machinery,),
        text="row.claims, row.attempt,", without="row.claims, 0,",
    ),
    "claims_are_restored": Guard(
        owner=restoring, function="restore", table="plain", users=(machinery,),
        text="saga.deferrals = row.claims,", without="saga.deferrals = 0,",
    ),
    "a_pending_saga_is_restored": Guard(
        owner=restoring, function="restore", table="plain", users=(machinery,),
        text="row.status == Status.PENDING", without="False",
    ),
    "each_phase_is_quarantined": Guard(
        owner=Loop, function="_quarantine", table="plain",
        text="> self.max_claims and", without="> self.max_claims and not saga.current.undoes and",
    ),
    "a_forward_call_needs_its_intent": Guard(
        owner=Loop, function="_turn", table="plain",
        text="saga.current.effectful and saga.unsaved", without="saga.current.undoes and saga.unsaved",
    ),
    "failed_attempts_are_counted": Guard(
        owner=Progress, function="moved", table="plain",
        text="self.failed_attempts += trigger == Trigger.RETRY", without="pass",
    ),
    "the_loop_commits_before_the_call": Guard(
        owner=Loop, function="_turn", table="plain",
        text="(saga.current.effectful and saga.unsaved) or not", without="False or not",
    ),
    "a_404_to_a_poll_is_no_answer": Guard(
        owner=replies_module, function="outcome_of_poll", table="polled", users=(attempts_module,),
        text="reply.status in _NO_ANSWER and", without="False and",
    ),
    "a_redirect_is_no_success": Guard(
        owner=replies_module, function="outcome_of", table="plain", users=(attempts_module,),
        text="<= status < _REDIRECT", without="<= status <= _REDIRECT",
    ),
    "a_field_that_an_error_lacks_proves_nothing": Guard(
        owner=replies_module, function="_meant_by_field", table="missing_field",
        text="if value is None and not", without="if False and not",
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_engine_with_every_guard_has_no_fault(table):
    result = verify(TABLES[table]())
    assert (result.faults, result.complete) == ([], True)


@pytest.mark.parametrize("guard", GUARDS)
def test_verify_finds_a_further_guard_that_is_taken_out_and_writes_its_test(guard):
    (fault,) = faults_without(GUARDS[guard], TABLES[GUARDS[guard].table])
    assert len(fault.path) <= 8
