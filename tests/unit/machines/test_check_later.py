"""The rules for `later=`. A table that breaks one cannot be carried out by the engine, so it is refused."""

from typing import Any

import pytest

from machines.call import Call, get, post
from machines.check import TableError
from machines.fields import integer, optional, secret, text
from machines.keeps import header
from machines.later import callback, poll
from machines.outcomes import ACCEPTED, REFUSED_UNDO, SUCCEEDED
from machines.retry import Retry
from machines.saga import Saga
from machines.step import compensatable, pause, pivot, read, retriable
from machines.templates import upper
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


ASKS = get("bank", "/holds/{hold.id}")


def polled(asks: Any = ASKS, call: Call | None = None, **how: Any) -> Any:
    """Return the arguments of a table whose first step is polled."""
    how = {"every_s": 5, "within_s": 60} | how
    return {"call": call or post("bank", "/hold"), "later": poll(asks, **how)}


def test_a_step_that_is_polled_has_the_states_of_a_callback():
    saga = table(**polled())
    assert leaving(saga, "AWAITING_HOLD") == leaving(table(), "AWAITING_HOLD")
    assert saga.states["AWAITING_HOLD"].poll == ASKS
    assert str(saga.states["AWAITING_HOLD"].waits) == "poll every 5 s, 1 min at most"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"every_s": 0}, "later= every_s=0 is out of bounds"),
        ({"every_s": "5"}, "later= every_s='5' is out of bounds"),
        ({"every_s": 5, "slowest_s": 4}, "later= slowest_s=4 is out of bounds; give a number from 5"),
        ({"slowest_s": "60"}, "later= slowest_s='60'"),
        ({"within_s": 0}, "later= within_s=0 is out of bounds"),
        ({"every_s": 61}, "every_s=61 is longer than within_s=60, so it would be ignored; make every_s= shorter"),
        ({"asks": "/holds"}, "later= polls with '/holds', no call; write poll(get('participant', '/path'), …)"),
        ({"asks": get("bank", "/holds", body={})}, "later: a GET has no body, so body= would be ignored"),
        ({"asks": get("bank", "/holds", keeps=5)}, "later: keeps= is 5, no dict"),
        ({"asks": post("bank", "/holds/find")}, "its poll POST bank/holds/find might change something; ask with get()"),
        ({"asks": get("bank", "/holds", retry=Retry())}, "so its retry= would be ignored"),
        ({"asks": get("shop", "/holds")}, "participant 'shop' is not registered"),
        ({"asks": get("bank", "holds")}, "path 'holds' must begin with a slash"),
        ({"asks": get("bank", "/holds/{pay.id}")}, "'pay.id' refers to no earlier step; move step pay up"),
        ({"asks": get("bank", "/holds/{saga.reply_to}")}, "'saga.reply_to' is known in the call of a step with later="),
    ],
)  # fmt: skip
def test_a_poll_that_could_not_be_sent_as_written_is_refused(how, expected):
    assert expected in problem(**polled(**how))


def test_a_poll_needs_its_times():
    assert table(**polled(every_s=60))
    assert "within_s='60'" in problem(**polled(within_s="60"))
    assert "poll() lacks every_s=, within_s=" in problem(later=poll(ASKS))
    assert "poll() lacks call" in problem(later=poll(every_s=5, within_s=60))


def test_a_read_is_not_polled():
    later = poll(get("bank", "/rates/now"), every_s=5, within_s=60)
    asked = read("ask", get("bank", "/rates"), later=later, done="ASKED_FOR", refused="NO")
    with pytest.raises(TableError, match="a read has no effect that is settled later"):
        Saga(
            name="loan", version=1, initial="ASKED", completed="PAID", compensated="BACK", participants=("bank",),
            data={}, steps=(asked, pivot("pay", post("bank", "/pay"), done="PAID", refused="DECLINED")),
        )  # fmt: skip


def test_a_poll_with_keeps_of_its_own_keeps_what_the_call_keeps():
    call = post("bank", "/hold", keeps={"id": text(), "code": text()})
    asks = get("bank", "/holds/{hold.id}", keeps={"id": text()})
    assert "its poll does not keep code, as its call does" in problem(**polled(asks, call))
    other = get("bank", "/holds/{hold.id}", keeps={"id": text(), "code": integer()})
    release = {"undo": post("bank", "/release", code=upper("hold.code")), "repeatable": True}
    assert "with the reply of a poll, upper(hold.code)" in problem(**polled(other, call), **release)


def test_the_poll_refers_to_what_the_accepting_reply_brings_even_where_a_reply_at_once_lacks_it():
    call = post("bank", "/hold", keeps={"place": optional(header("Location"))})
    assert table(**polled(get("bank", "{hold.place}"), call))
    assert "is not kept of the reply to hold" in problem(**polled(get("bank", "/holds/{hold.id}"), call))


def test_only_a_poll_is_sent_to_a_whole_url():
    whole = "must begin with a slash"
    assert whole in problem(post("bank", "{customer}"))
    assert whole in problem(undo=post("bank", "{hold.url}"), repeatable=True)
    assert table(**polled(get("bank", "{hold.url}")))


def test_a_reply_at_once_needs_no_field_that_only_the_poll_refers_to():
    assert table(**polled()).needed_fields["hold"] == frozenset()


def test_the_means_of_a_polled_step():
    refuses = get("bank", "/holds/{hold.id}", means={"state": {"failed": REFUSED_UNDO, "open": ACCEPTED}})
    assert table(**polled(refuses))
    pay = pivot("pay", post("bank", "/pay"), later=poll(refuses, every_s=5, within_s=60), done="PAID", refused="NO")
    with pytest.raises(TableError, match="the means= of its poll has REFUSED_UNDO"):
        Saga(
            name="loan", version=1, initial="ASKED", completed="PAID", compensated="BACK", participants=("bank",),
            data={}, steps=(compensatable("hold", post("bank", "/hold"), undo=post("bank", "/release"), done="HELD",
                                          refused="NO_HOLD"), pay),
        )  # fmt: skip


def test_the_times_of_polls_may_change_under_a_running_saga_and_the_poll_may_not():
    digest = table(**polled()).digest
    assert digest == table(**polled(every_s=7, slowest_s=60, within_s=70)).digest
    assert digest == table(**polled(get("bank", ASKS.path, means={404: SUCCEEDED}))).digest
    assert digest not in (table(**polled(get("bank", "/other/{hold.id}"))).digest, table().digest)


def test_a_secret_of_the_poll_alone_is_known_as_secret():
    call = post("bank", "/hold", keeps={"id": text(), "pin": text()})
    asks = get("bank", "/holds/{hold.id}", keeps={"id": text(), "pin": secret(text())})
    assert table(**polled(asks, call)).secrets.masked_reply("hold", {"id": "7", "pin": "1"})["pin"] == "***"
