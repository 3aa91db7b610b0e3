"""A mistake in a test is one error that names the step and the legal words; nothing wrong is taken in silence."""

import pytest

from machines import Saga, boolean, callback, compensatable, pivot, post, retriable, wait
from machines.testing import (
    NotAllowedError,
    accepted,
    always,
    busy,
    every_outcome,
    every_outcome_of,
    given,
    lost,
    ok,
    refused,
    replies,
)

STAY = Saga(
    name="stay", version=1, initial="ASKED", completed="PAID", compensated="BACK", data={},
    participants=("hotel", "bank"), deadline_s=86_400,
    steps=(
        compensatable(
            "book", post("hotel", "/rooms"), undo=post("hotel", "/rooms/undo"), later=callback(within_s=3_600),
            done="BOOKED", refused="FULL",
        ),
        wait("agree", signal="go", within_s=60, brings={"ok": boolean()}, done="AGREED", refused="NOT_AGREED"),
        pivot("pay", post("bank", "/p"), done="PAID", refused="POOR"),
    ),
)  # fmt: skip
WORDS = (
    "no answer; use one of ok, ok({…}), refused(…), lost, unheard, failed, busy(…), down, died, died_before, accepted"
)

BAD = {
    "a word as a text": (lambda: given(STAY).when(pay="ok"), f"stay v1: pay='ok': {WORDS}"),
    "no answer at all": (lambda: given(STAY).when(pay=None), f"stay v1: pay=None: {WORDS}"),
    "a word without its parentheses": (
        lambda: given(STAY).when(pay=[lost, refused]),
        "stay v1: pay=refused: write it with parentheses, such as refused()",
    ),
    "a step that is not there": (
        lambda: given(STAY).when(payy=ok),
        "stay v1 has no step payy with a call; it has book, pay",
    ),
    "an answer behind one without an end": (
        lambda: given(STAY).when(pay=[always(lost), ok]),
        "stay v1: pay=always(lost) comes last; what is behind it is never used",
    ),
    "always of a list": (lambda: always([ok, lost]), "always([ok, lost]): no answer"),
    "always of always": (lambda: always(always(lost)), "always(always(lost)): no answer"),
    "a status as the reason": (lambda: refused(404), "refused(404): its reason comes first"),
    "a refusal that is none": (lambda: refused("no", 500), "refused('no', 500): a refusal is 400 to 499"),
    "a status as a text": (lambda: replies("200"), "replies('200'): its status comes first, as a number"),
    "a status that is none": (lambda: replies(99), "the answer replies(99): status is 99, no number from 100 to 599"),
    "seconds as a text": (lambda: busy("5"), "busy('5'): write the seconds to wait"),
    "seconds below 0": (lambda: ok(takes_s=-60), "the answer ok: takes_s is -60, no number of seconds from 0 on"),
    "a field in the place of a column": (lambda: ok(seat="12A"), "a field of the body is written ok({'seat': …})"),
    "a column of a wrong type": (lambda: ok(rests="yes"), "the answer ok: rests is 'yes', neither True nor False"),
    "headers that are no texts": (lambda: ok(headers={"X-Size": 7}), "the answer ok: headers are {'X-Size': 7}"),
    "a body that is no JSON": (lambda: ok({"id": {1, 2}}), "the answer ok: its body has {1, 2}, which no JSON has"),
    "an answer as a body": (lambda: given(STAY).replying(pay=ok), "stay v1: pay: ok is no body; write JSON"),
    "no table": (lambda: given("stay"), "'stay' is no table; give the Saga(…) itself"),
    "a scenario for a table": (lambda: every_outcome(given(STAY)), "write every_outcome_of(…)"),
    "a table for a scenario": (lambda: list(every_outcome_of(STAY)), "takes a scenario, such as given(TRAVEL)"),
    "data that are no fields": (lambda: given(STAY, ["Ada"]), "the data of stay v1 are ['Ada']; write a dict"),
    "children without a list": (lambda: given(STAY, {}, STAY), "the children of stay v1: write a list of tables"),
    "a moment without a zone": (lambda: given(STAY).starting_at("2026-11-28T09:30:00"), "write a date and time with a"),
    "time that goes back": (lambda: given(STAY).run().after(days=-1), "after(days=-1): write a number from 0 on"),
    "a later answer as a text": (
        lambda: given(STAY).when(book=accepted).run().answer("book", "ok"),
        "the answer to book is 'ok'; write one answer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_mistake_is_one_error_that_names_the_place_and_the_words(case):
    write, problem = BAD[case]
    with pytest.raises((TypeError, ValueError)) as caught:
        write()
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_signal_with_a_wrong_value_names_the_field():
    with pytest.raises(NotAllowedError, match="the signal of agree: ok is 'maybe', neither true nor false"):
        given(STAY).run().signal("go", ok="maybe")


def test_saga_is_cancelled_before_its_next_call_during_a_call_and_while_it_waits():
    before = given(STAY).with_signal("go", ok=True).when(book=ok(rests=True)).run()
    assert (before.calls, before.cancel("changed her mind").ended) == (["book"], "BACK")
    assert before.calls == ["book", "undo book"]
    during = given(STAY).when(book=lost(rests=True)).run().cancel()
    assert (during.calls, during.took_effect) == (["book", "undo book"], [])
    waits = given(STAY).run().cancel()
    assert (waits.calls, waits.ended) == (["book", "undo book"], "BACK")


def test_cancel_that_the_table_does_not_allow_says_so():
    saga = given(STAY).with_signal("go", ok=True).when(pay=lost(rests=True)).run()
    with pytest.raises(NotAllowedError, match="the saga is running in AGREED, where nobody can cancel it"):
        saga.cancel()


def test_resolve_without_the_fields_that_later_calls_need_names_them():
    steps = (
        pivot("pay", post("bank", "/p"), done="PAID", refused="POOR"),
        retriable("tell", post("bank", "/t", receipt="pay.receipt"), done="TOLD"),
    )
    paid = Saga(
        name="paid", version=1, initial="ASKED", completed="TOLD", compensated="BACK", data={}, participants=("bank",),
        steps=steps,
    )  # fmt: skip
    saga = given(paid).when(pay=always(lost)).run()
    with pytest.raises(NotAllowedError, match="STUCK_PAY: later calls need more of the reply: receipt"):
        saga.resolve("seen at the bank")
    assert saga.resolve("seen at the bank", receipt="R7").ended == "TOLD"


@pytest.mark.parametrize(("pay", "status"), [(ok, "completed"), (refused(), "compensated"), (always(lost), "stuck")])
def test_saga_at_rest_cannot_be_cancelled(pay, status):
    saga = given(STAY).with_signal("go", ok=True).when(pay=pay).run()
    with pytest.raises(NotAllowedError, match=f"the saga is {status} in"):
        saga.cancel()
