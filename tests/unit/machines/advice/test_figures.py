"""The odds and times of steps, and what they say about timeouts and retries."""

from dataclasses import replace

import pytest

from machines import NEVER, Retry, Saga, compensatable, equal, pause, pivot, post, text
from machines.advice.figures import FEWEST, Figures, figures, percentile
from machines.advice.limits import retry_advice, timeout_advice
from machines.advice.order import Odds
from machines.testing import always, down, given, lost, ok, refused
from tests.support.journals import journal_of

SHOP = Saga(
    name="shop", version=1, initial="ASKED", completed="PAID", compensated="BACK", data={"who": text()},
    participants=("shop",),
    steps=(
        compensatable(
            "room", post("shop", "/r"), undo=post("shop", "/r/undo"), done="HELD", refused="FULL", timeout_s=2,
        ),
        pause("rest", for_s=60, done="RESTED", refused="STOPPED"),
        pivot("pay", post("shop", "/p"), done="PAID", refused="POOR"),
    ),
)  # fmt: skip


def runs(**answers):
    return journal_of(given(SHOP).when(**answers).allowing_unused().run().after(hours=1))


def test_each_end_of_a_step_is_counted_once():
    found = figures(SHOP, [runs(), runs(room=refused()), runs(room=always(lost)), runs(pay=refused())])
    room, pay = found["room"], found["pay"]
    assert (room.reached, room.succeeded, room.refused, room.gave_up) == (4, 2, 1, 1)
    assert (pay.reached, pay.refused, pay.odds) == (2, 1, 0.5)
    assert room.attempts == {1: 2}
    assert room.unanswered == 4  # each attempt of the saga without an answer


def test_time_of_a_step_has_its_retries_and_the_time_of_a_wait():
    found = figures(SHOP, [runs(room=[lost, lost, ok])])
    assert found["rest"].step_s == [60]
    assert found["room"].step_s == [3]  # waits of 1 s and 2 s between the attempts
    assert found["room"].attempts == {3: 1}


def test_call_that_was_not_sent_is_no_attempt():
    found = figures(SHOP, [runs(room=[down, ok])])["room"]
    assert (found.attempts, found.unanswered, len(found.call_ms)) == ({1: 1}, 0, 1)


def test_skipped_step_was_not_tried():
    maybe = replace(
        SHOP, version=2, steps=(replace(SHOP.steps[0], when=equal("who", "Ada"), doing="HOLDING"), *SHOP.steps[1:])
    )
    journals = [journal_of(given(maybe, {"who": who}).run().after(hours=1)) for who in ("Ada", "Bob", "Cy")]
    room, pay = (figures(maybe, journals)[name] for name in ("room", "pay"))
    assert (room.reached, room.skipped, pay.reached, pay.skipped) == (1, 2, 3, 0)
    assert (room.odds_in_order, pay.odds_in_order) == (Odds(0.0, 1 / 3), Odds(0.0, 1.0))


def test_percentiles_are_values_that_were_seen():
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert (percentile([], 0.5), percentile([7.0], 0.95)) == (None, 7)


@pytest.mark.parametrize(("refusals", "low", "high"), [(0, 0.0, 0.037), (3, 0.0102, 0.0845), (100, 0.963, 1.0)])
def test_interval_is_that_of_wilson(refusals, low, high):
    known = Figures(step=SHOP.steps[0], reached=100, refused=refusals)
    assert known.interval == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


CLOSE = (
    "timeout_s=2 is close to what it takes: 99 % of the answers came within 1.7 s, and 3 attempts got no answer; try "
    "timeout_s=4"
)


def known(count=FEWEST, ms=500.0, **more):
    step = more.pop("step", SHOP.steps[0])
    return Figures(step=step, reached=count, succeeded=count, call_ms=[ms] * count, **more)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (known(), None),
        (known(ms=1_700.0, unanswered=3), CLOSE),
        (known(ms=5.0), "timeout_s=2 is long: 99 % of the answers came within 0.005 s; timeout_s=1 finds a dead"),
        (known(count=FEWEST - 1, ms=1_700.0), None),
    ],
)  # fmt: skip
def test_timeout_is_compared_with_the_slowest_answers(figures, words):
    advice = timeout_advice(figures)
    assert advice is None if words is None else advice.startswith(words)


def test_retries_are_compared_with_the_attempts_that_helped():
    assert retry_advice(known(attempts={1: 30})) is None
    assert "2 succeeded with the last attempt; more attempts would save" in retry_advice(
        known(attempts={1: 20, 4: 2}, gave_up=8)
    )
    assert "none succeeded after attempt 2, and 30 sagas were given up; attempts=3" in retry_advice(
        known(count=60, attempts={1: 29, 2: 1}, gave_up=30)
    )
    assert retry_advice(known(count=FEWEST - 1, attempts={4: 2}, gave_up=8)) is None


def test_step_that_is_sent_once_gets_no_advice_on_retries():
    step = compensatable(
        "room", post("shop", "/r"), undo=post("shop", "/u"), done="A", refused="B", retry=NEVER,
    )  # fmt: skip
    assert retry_advice(known(step=step, attempts={1: 22}, gave_up=8)) is None
    assert Retry().attempts == 4
