"""The rules for `later=`. A table that breaks one cannot be carried out by the engine, so it is refused."""

from typing import Any

import pytest

from machines.call import Call, get, post
from machines.check import TableError
from machines.fields import text
from machines.later import callback
from machines.outcomes import ACCEPTED, SUCCEEDED
from machines.saga import Saga
from machines.step import compensatable, pause, pivot, read, retriable
from machines.transitions import Phase, Trigger
from machines.waiting import LONGEST_STAY_S

LATER = callback(within_s=60)


def table(call: Call | None = None, *, deadline_s: float = 7_200, **columns: Any) -> Saga:
    usual = {"undo": post("bank", "/release"), "done": "HELD", "refused": "SHORT", "later": LATER}
    return Saga(
        name="loan", version=1, initial="ASKED", completed="PAID", compensated="CALLED_OFF", participants=("bank",),
        data={"customer": text()}, deadline_s=deadline_s,
        steps=(
            compensatable("hold", call or post("bank", "/hold"), **(usual | columns)),
            pivot("pay", post("bank", "/pay"), later=callback(within_s=86_400), done="PAID", refused="DECLINED"),
        ),
    )  # fmt: skip


def problem(*given: Any, **columns: Any) -> str:
    with pytest.raises(TableError) as refused:
        table(*given, **columns)
    return str(refused.value)


def leaving(saga: Saga, state: str) -> dict[str, str]:
    return {row.trigger: row.dest for row in saga.transitions if row.source == state}


def test_a_step_that_is_answered_later_has_a_waiting_state():
    saga = table()
    assert leaving(saga, "ASKED")[Trigger.ACCEPTED] == "AWAITING_HOLD"
    assert saga.states["AWAITING_HOLD"].phase is Phase.WAITING
    assert saga.states["AWAITING_HOLD"].dwell_s == 360
    assert leaving(saga, "AWAITING_HOLD") == {
        Trigger.SUCCEEDED: "HELD", Trigger.REFUSED: "SHORT", Trigger.EXHAUSTED: "SHORT", Trigger.EXPIRE: "SHORT",
        Trigger.CANCEL: "SHORT", Trigger.QUARANTINE: "STUCK_HOLD",
    }  # fmt: skip


def test_a_pivot_that_is_answered_later_is_stuck_where_nothing_is_known():
    assert leaving(table(), "AWAITING_PAY") == {
        Trigger.SUCCEEDED: "PAID", Trigger.REFUSED: "DECLINED", Trigger.REFUSED_IN_DOUBT: "STUCK_PAY",
        Trigger.EXHAUSTED: "STUCK_PAY", Trigger.QUARANTINE: "STUCK_PAY",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (60, "later= is 60; write later=callback(within_s=3_600)"),
        ("callback", "later= is 'callback'; write later=callback(within_s=3_600)"),
        (callback(), "callback() lacks within_s=; it has within_s="),
        (callback(after_s=60), "callback() has no after_s="),
        (callback(within_s=0), "later= within_s=0 is out of bounds"),
        (callback(within_s="60"), "later= within_s='60'"),
        (callback(within_s=LONGEST_STAY_S + 1), "is out of bounds"),
    ],
)
def test_what_is_waited_for_is_a_callback_with_a_time(later, expected):
    assert expected in problem(later=later)


@pytest.mark.parametrize("step", [read, retriable])
def test_only_a_step_with_an_effect_is_answered_later(step):
    columns = {"refused": "NO"} if step is read else {}
    asked = step("ask", get("bank", "/rates"), later=LATER, done="ASKED_FOR", **columns)
    pay = pivot("pay", post("bank", "/pay"), done="PAID", refused="DECLINED")
    steps = (asked, pay) if step is read else (pay, asked)
    columns = {
        "name": "loan", "version": 1, "initial": "ASKED", "completed": steps[-1].done, "compensated": "BACK",
        "participants": ("bank",), "data": {},
    }  # fmt: skip
    if step is retriable:
        assert Saga(**columns, steps=steps)
        return
    with pytest.raises(TableError, match="a read has no effect that is settled later, so later= would be ignored"):
        Saga(**columns, steps=steps)


def test_a_pause_has_no_later():
    with pytest.raises(TableError, match="which belongs to a step such as"):
        Saga(
            name="loan", version=1, initial="ASKED", completed="PAID", compensated="BACK", participants=(), data={},
            steps=(pause("rest", for_s=60, later=LATER, done="PAID", refused="NO"),),
        )  # fmt: skip


def test_a_202_that_means_something_else_would_make_later_useless():
    assert "so later= would be ignored" in problem(post("bank", "/hold", means={202: SUCCEEDED}))
    assert table(post("bank", "/hold", means={202: SUCCEEDED, "state": {"pending": ACCEPTED}}))
    assert table(post("bank", "/hold", means={202: ACCEPTED}))


def test_accepted_needs_an_answer_that_comes_later():
    accepts = post("bank", "/hold", means={201: ACCEPTED})
    assert "the means= of its call has ACCEPTED" in problem(accepts, later=None)
    undo = post("bank", "/release", means={"state": {"pending": ACCEPTED}})
    assert "the means= of its undo has ACCEPTED" in problem(undo=undo)
    probe = get("bank", "/hold", means={200: "accepted"})
    assert "the means= of its probe has ACCEPTED" in problem(probe=probe)


def test_the_url_of_the_answer_is_known_in_the_call_alone():
    assert table(post("bank", "/hold", body={"to": "saga.reply_to"}, headers={"X-To": "saga.reply_to"}))
    alone = "'saga.reply_to' is known in the call of a step with later=callback(…) alone"
    assert alone in problem(post("bank", "/hold", to="saga.reply_to"), later=None)
    assert alone in problem(undo=post("bank", "/release", to="saga.reply_to"))
    assert alone in problem(probe=get("bank", "/hold", headers={"X-To": "saga.reply_to"}))


@pytest.mark.parametrize(
    "call", [post("bank", "/hold/{saga.reply_to}"), post("bank", "/", query={"a": "saga.reply_to"})]
)
def test_the_url_of_the_answer_stands_in_no_address(call):
    assert "is secret, and would be sent in a" in problem(call)


def test_the_header_belongs_to_the_service():
    call = post("bank", "/hold", headers={"Saga-Reply-To": "saga.reply_to"})
    assert "the header Saga-Reply-To is set by the service itself" in problem(call)


def test_the_wait_ends_before_the_deadline_unless_it_is_that_of_the_pivot():
    assert "would end it before; make deadline_s longer than 60" in problem(deadline_s=60)
    assert table(deadline_s=61), "the pivot may wait for a day"


def test_the_waiting_state_has_a_name_of_its_own():
    assert "state 'AWAITING_HOLD' is named twice" in problem(done="AWAITING_HOLD")


def test_the_time_of_the_wait_may_change_under_a_running_saga_and_the_wait_itself_may_not():
    assert table().digest == table(later=callback(within_s=100)).digest
    assert table().digest != table(later=None).digest
