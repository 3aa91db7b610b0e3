"""The rules for a pause and a wait. A table that breaks one cannot be carried out by the engine, so it is refused."""

from typing import Any

import pytest

from machines.call import post
from machines.check import TableError
from machines.fields import boolean, choice, date, optional, secret, text
from machines.outcomes import IN_DOUBT, REFUSED, SUCCEEDED
from machines.saga import Saga
from machines.step import Step, approval, compensatable, pause, pivot, retriable, wait
from machines.waiting import LONGEST_STAY_S, Waiting, duration

HOLD = compensatable("hold", post("bank", "/hold"), undo=post("bank", "/release"), done="HELD", refused="SHORT")
PAY = pivot("pay", post("bank", "/pay"), done="PAID", refused="DECLINED")
DATA = {"customer": text(), "when": date(), "perhaps": optional(date())}


def table(*steps: Step, completed: str = "PAID", **columns: Any) -> Saga:
    return Saga(
        name="loan", version=1, initial="ASKED", completed=completed, compensated="CALLED_OFF", participants=("bank",),
        steps=steps, **({"data": DATA, "deadline_s": 7_200} | columns),
    )  # fmt: skip


def problem(*steps: Step, **columns: Any) -> str:
    with pytest.raises(TableError) as refused:
        table(*steps, **columns)
    return str(refused.value)


def rest(**columns: Any) -> Step:
    return pause("rest", **({"done": "RESTED", "refused": "STOPPED"} | columns))


def ask(**columns: Any) -> Step:
    usual = {"signal": "answer", "within_s": 60, "done": "APPROVED", "refused": "DENIED"}
    return wait("ask", **(usual | columns))


def test_pauses_and_waits_may_stand_before_and_after_the_pivot():
    after = wait("deliver", signal="delivered", within_s=60, done="CLOSED")
    assert table(HOLD, rest(for_s=60), ask(), PAY, after, completed="CLOSED").states["HELD"].waits
    assert table(rest(for_s=60), HOLD, PAY).states["ASKED"].waits


@pytest.mark.parametrize("ends", [{}, {"for_s": 60, "until": "when"}])
def test_a_pause_has_one_end(ends):
    assert "a pause has one end; give it for_s= or until=" in problem(HOLD, rest(**ends), PAY)


@pytest.mark.parametrize("for_s", [0, -1, float("nan"), float("inf"), "60", True, LONGEST_STAY_S + 1])
def test_a_pause_has_a_length_above_zero_and_up_to_ten_years(for_s):
    assert "for_s=" in problem(HOLD, rest(for_s=for_s), PAY)


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("customer", "is of type text; name a date() or a datetime()"),
        ("perhaps", "may be missing; make the field required"),
        ("wen", "did you mean 'when'?"),
        ("hold.until", "has no known type; keep it as date() or datetime()"),
    ],
)
def test_a_pause_ends_at_a_date_that_the_saga_certainly_has(until, expected):
    assert expected in problem(HOLD, rest(until=until), PAY)


def test_a_pause_until_a_kept_date_is_legal():
    hold = compensatable(
        "hold", post("bank", "/hold", keeps={"until": date()}), undo=post("bank", "/release"), done="HELD",
        refused="SHORT",
    )  # fmt: skip
    assert table(hold, rest(until="hold.until"), PAY)


def test_waits_before_the_pivot_end_before_the_deadline():
    two = (rest(for_s=4_000), ask(within_s=3_200))
    assert "make deadline_s longer than 7200" in problem(HOLD, *two, PAY)
    assert table(HOLD, *two, PAY, deadline_s=7_201)
    after = wait("deliver", signal="delivered", within_s=80_000, done="CLOSED")
    assert table(HOLD, PAY, after, completed="CLOSED")


def test_each_wait_has_a_signal_of_its_own():
    again = wait("again", signal="answer", within_s=60, done="TWICE", refused="NO")
    assert "signal 'answer' is named twice" in problem(HOLD, ask(), again, PAY)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"brings": {"a b": text()}}, "it is not the name of a field"),
        ({"brings": {"pin": secret(text())}}, "the body of a signal is stored and shown"),
        ({"brings": [text()]}, "brings= is a list, no dict"),
        ({"means": {"ok": {False: REFUSED}}}, "which the signal does not bring; add it to brings="),
        ({"brings": {"ok": boolean()}, "means": {"ok": {"no": REFUSED}}}, "neither true nor false"),
        ({"brings": {"ok": boolean()}, "means": {"ok": {False: IN_DOUBT}}}, "a signal means SUCCEEDED or REFUSED"),
        ({"brings": {"ok": boolean()}, "means": {"ok": REFUSED}}, "write {value: REFUSED}"),
        ({"over": IN_DOUBT}, "write SUCCEEDED or REFUSED"),
        ({"signal": 5}, "signal= 5 is no text"),
        ({"signal": "a/b"}, "is not a name"),
        ({"within_s": 0}, "within_s="),
        ({"refused": None}, "name one with refused="),
    ],
)
def test_a_wait_that_means_nothing_is_refused(columns, expected):
    assert expected in problem(HOLD, ask(**columns), PAY)


@pytest.mark.parametrize(
    "columns", [{"over": REFUSED}, {"brings": {"ok": boolean()}, "means": {"ok": {False: REFUSED}}}]
)
def test_a_wait_after_the_pivot_cannot_refuse(columns):
    after = wait("deliver", signal="delivered", within_s=60, done="CLOSED", **columns)
    assert "there is no way back after the pivot" in problem(HOLD, PAY, after, completed="CLOSED")


def test_an_approval_needs_a_role_that_exists():
    step = approval("ask", role="boss", within_s=60, done="APPROVED", refused="DENIED")
    assert "role='boss' is none; use operator or admin" in problem(HOLD, step, PAY)


def test_what_a_signal_brings_is_known_to_later_calls():
    step = ask(brings={"by": text(low=1), "how": choice("post", "air")})
    pay = pivot("pay", post("bank", "/pay", body={"by": "ask.bye"}), done="PAID", refused="DECLINED")
    assert "'ask.bye' is not brought by the signal of ask; did you mean 'by'?" in problem(HOLD, step, pay)
    pay = pivot("pay", post("bank", "/pay", body={"by": "ask.by"}), done="PAID", refused="DECLINED")
    assert table(HOLD, step, pay)


def test_what_a_signal_brings_may_be_missing_when_the_wait_succeeds_without_it():
    step = ask(brings={"by": text(low=1)}, over=SUCCEEDED)
    pay = pivot("pay", post("bank", "/pay", body={"by": "ask.by"}), done="PAID", refused="DECLINED")
    assert "may be missing" in problem(HOLD, step, pay)


@pytest.mark.parametrize(
    ("field", "values"),
    [(boolean(), {True: REFUSED, False: REFUSED}), (choice("a", "b"), {"a": REFUSED, "b": REFUSED})],
)
def test_a_wait_that_no_value_can_end_well_is_refused(field, values):
    asked = ask(brings={"by": field}, means={"by": values})
    assert "means= of 'by': every value means REFUSED, so the step is never done" in problem(HOLD, asked, PAY)
    values.popitem()
    assert table(HOLD, ask(brings={"by": field}, means={"by": values}), PAY)


def test_only_the_same_value_of_the_same_type_has_a_meaning():
    waits = Waiting(signal="answer", brings={}, means={"ok": {True: REFUSED}})
    assert waits.outcome_of({"ok": True}) is REFUSED
    assert waits.outcome_of({"ok": 1}) is SUCCEEDED
    assert waits.outcome_of({}) is SUCCEEDED


def test_a_time_limit_may_change_under_running_sagas_and_a_signal_may_not():
    def digest(**columns: Any) -> str:
        return table(HOLD, ask(**columns), PAY).digest

    assert digest(within_s=60) == digest(within_s=90)
    assert digest(signal="answer") != digest(signal="other")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "0.5 s"), (59, "59 s"), (60, "1 min"), (5_400, "1 h 30 min"), (1_209_600, "14 d"), (90_061, "1 d 1 h")],
)
def test_a_duration_is_shown_in_its_largest_units(seconds, words):
    assert duration(seconds) == words


def test_a_retriable_may_follow_a_wait():
    close = retriable("close", post("bank", "/close"), done="CLOSED")
    assert table(HOLD, ask(), close, completed="CLOSED")
