"""Which running sagas can continue with another version of their table, and in which state."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from machines.call import delete, get, post
from machines.conditions import equal
from machines.fields import date, integer, optional, text
from machines.later import callback
from machines.renaming import MIGRATE, as_named_now
from machines.saga import Saga
from machines.step import compensatable, pause, pivot, read, retriable, wait
from machines.succession import Standing, passage, touched
from machines.templates import maybe

BOOK = compensatable(
    "book", post("shop", "/bookings", keeps={"id": text()}), repeatable=True,
    undo=delete("shop", "/bookings/{book.id}"), done="BOOKED", refused="FULL",
)  # fmt: skip
PAY = pivot("pay", post("shop", "/pay", booking="book.id"), done="PAID", refused="DECLINED")
SEND = retriable("send", post("shop", "/send"), done="SENT")
LOOK = read("look", get("shop", "/look"), done="SEEN", refused="UNSEEN")


def table(*steps, version: int = 1, **columns: Any) -> Saga:
    usual = {
        "name": "trip", "version": version, "initial": "ASKED", "completed": steps[-1].done, "compensated": "OFF",
        "data": {"city": text()}, "participants": ("shop",),
    }  # fmt: skip
    return Saga(**usual | columns, steps=steps)


OLD = table(BOOK, PAY, SEND)


@dataclass
class Row:
    source: str | None
    trigger: str
    dest: str
    step: str | None = None
    direction: str | None = "do"
    status_code: int | None = None
    reply: Any = None


START = Row(None, "start", "ASKED")
BOOKED = Row("ASKED", "succeeded", "BOOKED", "book", reply={"id": "b1"})


def standing(state: str, *journal: Row, in_doubt: bool = False, **data: Any) -> Standing:
    return Standing(state=state, data={"city": "Oslo"} | data, journal=[START, *journal], in_doubt=in_doubt)


def new(*steps, **columns) -> Saga:
    return table(*steps, version=2, **columns)


NOT_SENT = Row("BOOKED", "defer", "BOOKED", "pay")
ASKED_TO_WAIT = replace(NOT_SENT, status_code=503)
CHANGED_PAY = replace(PAY, call=post("shop", "/v2/pay", booking="book.id"))


@pytest.mark.parametrize(
    ("saga", "number"),
    [
        (standing("ASKED"), 0),
        (standing("ASKED", in_doubt=True), 1),
        (standing("BOOKED", BOOKED), 1),
        (standing("BOOKED", BOOKED, NOT_SENT), 1),
        (standing("BOOKED", BOOKED, ASKED_TO_WAIT), 2),
        (standing("BOOKED", BOOKED, Row("BOOKED", "retry", "BOOKED", "pay")), 2),
        (standing("BOOKED", BOOKED, in_doubt=True), 2),
        (standing("STUCK_PAY", BOOKED, Row("BOOKED", "exhausted", "STUCK_PAY", "pay")), 2),
        (standing("UNDOING_BOOK", BOOKED, Row("BOOKED", "cancel", "DECLINED"),
                  Row("DECLINED", "compensate", "UNDOING_BOOK")), 2),
        (standing("UNDOING_BOOK", Row("ASKED", "exhausted", "FULL", "book"),
                  Row("FULL", "compensate_including", "UNDOING_BOOK")), 1),
    ],
)  # fmt: skip
def test_step_counts_as_called_unless_it_certainly_was_not(saga, number):
    assert touched(OLD, saga) == number


@pytest.mark.parametrize(
    ("state", "number"),
    [("BOOKED", 1), ("FULL", 1), ("UNDOING_BOOK", 1), ("STUCK_BOOK", 1), ("STUCK_UNDO_BOOK", 1), ("AWAITING_PAY", 2)],
)
def test_state_that_was_entered_counts_without_the_row_of_its_call(state, number):
    later = table(BOOK, replace(PAY, later=callback(within_s=60)), SEND)
    assert touched(later, standing("ASKED", Row("ASKED", "compensate", state), Row(state, "retry", "ASKED"))) == number


def test_step_that_was_not_called_may_change():
    changed = new(BOOK, LOOK, CHANGED_PAY, SEND)
    assert passage(OLD, changed, standing("BOOKED", BOOKED)).state == "BOOKED"
    assert passage(OLD, changed, standing("ASKED")).state == "ASKED"


@pytest.mark.parametrize(
    "saga", [standing("BOOKED", BOOKED, in_doubt=True), standing("BOOKED", BOOKED, ASKED_TO_WAIT)], ids=str
)
def test_call_that_may_have_been_sent_must_stay_what_it_was(saga):
    way = passage(OLD, new(BOOK, CHANGED_PAY, SEND), saga)
    assert way.state is None
    assert way.obstacles == (
        "step 'pay' may have been called, and step 'pay': call was POST shop/pay and is POST shop/v2/pay in trip v2",
    )


@pytest.mark.parametrize(
    "changed",
    [
        replace(BOOK, name="reserve"),
        replace(BOOK, undo=delete("shop", "/v2/bookings/{book.id}")),
        replace(BOOK, call=post("shop", "/v2/bookings", keeps={"id": text()})),
        replace(BOOK, call=post("shop", "/bookings", keeps={"id": integer()})),
        replace(BOOK, doing="BOOKING"),
    ],
    ids=["name", "undo", "call", "keeps", "doing"],
)
def test_step_with_an_undo_owed_must_keep_its_key_and_its_undo(changed):
    pay = replace(PAY, call=post("shop", "/pay"))
    old, later = table(BOOK, pay, SEND), new(changed, pay, SEND) if changed.name == "book" else None
    if later is None:
        undo = delete("shop", "/bookings/{reserve.id}")
        later = new(replace(changed, undo=undo), pay, SEND)
    if changed.name != "book":
        (obstacle,) = passage(old, later, standing("BOOKED", BOOKED)).obstacles
        assert obstacle == "step 'book' may have been called, and step 'book' is now 'reserve' in trip v2"
    for saga in (
        standing("BOOKED", BOOKED),
        standing("UNDOING_BOOK", BOOKED, Row("BOOKED", "refused", "DECLINED", "pay")),
        standing("STUCK_UNDO_BOOK", BOOKED, Row("BOOKED", "refused", "DECLINED", "pay")),
    ):
        assert passage(old, later, saga).state is None


def test_columns_that_may_change_at_any_time_keep_no_saga_back():
    patient = replace(BOOK, timeout_s=60.0, retry=replace(BOOK.retry, attempts=9))
    assert passage(OLD, new(patient, PAY, SEND), standing("BOOKED", BOOKED, in_doubt=True)).state == "BOOKED"


def test_step_before_the_state_of_the_saga_is_not_skipped():
    assert passage(OLD, new(LOOK, BOOK, PAY, SEND), standing("BOOKED", BOOKED)).state is None
    assert passage(OLD, new(replace(PAY, call=post("shop", "/pay")), SEND), standing("BOOKED", BOOKED)).state is None


def test_new_version_without_a_step_where_the_saga_stands():
    old = table(BOOK, LOOK)
    way = passage(old, new(BOOK), standing("BOOKED", BOOKED))
    assert way.obstacles == ("trip v2 has no step after 'book', where the saga stands",)


def test_step_with_a_move_in_the_journal_keeps_its_name():
    renamed = replace(PAY, name="charge")
    assert passage(OLD, new(BOOK, renamed, SEND), standing("BOOKED", BOOKED)).state == "BOOKED"
    (obstacle,) = passage(OLD, new(BOOK, renamed, SEND), standing("BOOKED", BOOKED, NOT_SENT)).obstacles
    assert obstacle == "its journal names step 'pay', which is 'charge' in trip v2"


def test_step_to_come_has_a_state_of_its_own_in_both_versions_or_in_none():
    own = replace(PAY, doing="PAYING")
    (obstacle,) = passage(OLD, new(BOOK, own, SEND), standing("BOOKED", BOOKED)).obstacles
    assert obstacle == "only one version gives step 'pay' a state of its own (doing=)"
    paying = standing("PAYING", BOOKED, Row("BOOKED", "begin", "PAYING", direction=None))
    assert passage(table(BOOK, own, SEND), new(BOOK, PAY, SEND), paying).state is None
    assert passage(table(BOOK, own, SEND), new(BOOK, own), paying).state == "PAYING"


def test_renamed_state_needs_its_new_name():
    later, saga = new(replace(BOOK, done="HELD"), PAY, SEND), standing("BOOKED", BOOKED)
    (obstacle,) = passage(OLD, later, saga).obstacles
    assert obstacle == "states have other names in trip v2; add --map BOOKED=HELD"
    way = passage(OLD, later, saga, {"BOOKED"})
    assert (way.state, way.renamed) == ("HELD", {"BOOKED": "HELD"})


def test_states_that_exchange_their_names_are_told_apart_by_their_place():
    later = new(replace(BOOK, done="PAID"), replace(PAY, done="BOOKED"), SEND)
    assert passage(OLD, later, standing("BOOKED", BOOKED), {"BOOKED", "PAID"}).state == "PAID"


def test_later_call_needs_data_that_the_saga_has():
    send = replace(SEND, call=post("shop", "/send", to="to"))
    data = {"city": text(), "to": text()}
    (obstacle,) = passage(OLD, new(BOOK, PAY, send, data=data), standing("BOOKED", BOOKED)).obstacles
    assert obstacle == "its data has no 'to', which step 'send' of trip v2 sends"
    assert passage(OLD, new(BOOK, PAY, SEND, data=data), standing("BOOKED", BOOKED)).state == "BOOKED"
    assert passage(OLD, new(BOOK, PAY, send, data=data), standing("BOOKED", BOOKED, to="Ada")).state == "BOOKED"
    numbered = data | {"to": integer()}
    (obstacle,) = passage(OLD, new(BOOK, PAY, send, data=numbered), standing("BOOKED", BOOKED, to="Ada")).obstacles
    assert obstacle == "its 'to' is no integer, as step 'send' of trip v2 needs it"
    perhaps = data | {"to": optional(text())}
    send = replace(SEND, call=post("shop", "/send", to=maybe("to")))
    assert passage(OLD, new(BOOK, PAY, send, data=perhaps), standing("BOOKED", BOOKED)).state == "BOOKED"


def test_condition_to_come_needs_data_that_the_saga_has():
    sent = retriable("send", SEND.call, when=equal("by", "post"), done="SENT")
    seen = read("look", LOOK.call, done="SEEN")
    later = new(BOOK, PAY, sent, seen, data={"city": text(), "by": text()})
    (obstacle,) = passage(OLD, later, standing("BOOKED", BOOKED)).obstacles
    assert obstacle == "its data has no 'by', which step 'send' of trip v2 sends"
    assert passage(OLD, later, standing("BOOKED", BOOKED, by="post")).state == "BOOKED"


def test_pause_to_come_needs_the_date_at_which_it_ends():
    later = new(BOOK, pause("rest", until="day", done="RESTED", refused="STOPPED"), PAY, SEND,
                data={"city": text(), "day": date()})  # fmt: skip
    (obstacle,) = passage(OLD, later, standing("BOOKED", BOOKED)).obstacles
    assert obstacle == "its data has no 'day', which step 'rest' of trip v2 sends"


def test_wait_that_a_saga_is_in_must_stay_what_it_is():
    signal = wait("approve", signal="decision", within_s=60, done="APPROVED", refused="DENIED")
    old, other = table(BOOK, signal, PAY, SEND), replace(signal, name="allow")
    waiting = standing("BOOKED", BOOKED)
    assert passage(old, new(BOOK, signal, PAY, SEND), waiting).state == "BOOKED"
    assert passage(old, new(BOOK, other, PAY, SEND), waiting).state is None
    assert passage(old, new(BOOK, PAY, SEND), waiting).state is None


LATER = replace(PAY, later=callback(within_s=60), call=post("shop", "/pay", keeps={"id": text(), "receipt": text()}))
TELL = retriable("send", post("shop", "/send", receipt="pay.receipt"), done="SENT")
ACCEPTED = Row("BOOKED", "accepted", "AWAITING_PAY", "pay", reply={"id": "p1"})


def test_a_saga_that_waits_for_an_answer_moves_while_its_step_stays_what_it_is():
    waits = standing("AWAITING_PAY", BOOKED, ACCEPTED)
    found = passage(table(BOOK, LATER, SEND), new(BOOK, LATER, TELL), waits)
    assert (found.state, found.obstacles) == ("AWAITING_PAY", ()), "its answer will have the receipt"
    changed = replace(LATER, later=None)
    (reason,) = passage(table(BOOK, LATER, SEND), new(BOOK, changed, SEND), waits).obstacles
    assert "step 'pay' may have been called" in reason


def test_saga_on_its_way_back_needs_nothing_of_later_steps():
    send = replace(SEND, call=post("shop", "/send", to="to"))
    later = new(BOOK, PAY, send, data={"city": text(), "to": text()})
    saga = standing("UNDOING_BOOK", BOOKED, Row("BOOKED", "refused", "DECLINED", "pay"))
    assert passage(OLD, later, saga).state == "UNDOING_BOOK"


def test_later_call_needs_replies_that_were_kept():
    book = replace(BOOK, call=post("shop", "/bookings"))
    old = table(book, PAY, SEND)
    later = new(book, PAY, replace(SEND, call=post("shop", "/send", seat="book.seat")))
    (obstacle,) = passage(old, later, standing("BOOKED", BOOKED)).obstacles
    assert obstacle == "the kept reply of step 'book' lacks 'seat', which trip v2 needs later"
    with_seat = replace(BOOKED, reply={"id": "b1", "seat": "12A"})
    assert passage(old, later, standing("BOOKED", with_seat)).state == "BOOKED"


def test_ended_saga_is_not_moved():
    assert passage(OLD, new(BOOK, PAY, SEND), standing("SENT", BOOKED)).obstacles == ("it has ended",)


def test_state_that_the_table_does_not_have_is_an_obstacle():
    for saga in (
        standing("NOWHERE"),
        standing("ASKED", Row("NOWHERE", "retry", "ASKED")),
        standing("ASKED", Row("ASKED", "retry", "NOWHERE")),
    ):
        (obstacle,) = passage(OLD, new(BOOK, PAY, SEND), saga).obstacles
        assert obstacle == "its journal names the state NOWHERE, which trip v1 does not have"


def test_journal_is_read_in_the_names_of_the_present_table():
    there = Row("BOOKED", MIGRATE, "HELD", reply={"states": {"BOOKED": "HELD", "PAID": "BOOKED"}})
    back = Row("HELD", MIGRATE, "BOOKED", reply={"states": {"HELD": "BOOKED", "BOOKED": "PAID"}})
    again = Row("HELD", MIGRATE, "KEPT", reply={"states": {"HELD": "KEPT"}})
    for journal, names in (
        ([START, BOOKED], ["ASKED", "BOOKED"]),
        ([START, BOOKED, there], ["ASKED", "HELD", "HELD"]),
        ([START, BOOKED, there, back], ["ASKED", "BOOKED", "BOOKED", "BOOKED"]),
        ([START, BOOKED, there, again], ["ASKED", "KEPT", "KEPT", "KEPT"]),
    ):
        read_now = as_named_now(journal)
        assert [row.dest for row in read_now] == names
        assert [row.dest for row in as_named_now(read_now)] == names
        assert [row.step for row in read_now] == [row.step for row in journal]
    assert as_named_now([START, BOOKED, there])[2].source == "HELD"
