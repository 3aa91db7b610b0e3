"""Guards of waits, of what arrives early and of events: `saga verify` finds each one that is taken out."""

import pytest

from machines import (
    Retry,
    callback,
    compensatable,
    date,
    datetime,
    equal,
    get,
    loop,
    pause,
    pivot,
    poll,
    post,
    text,
    wait,
    waits,
)
from machines.loop import Loop
from machines.running import RunningSaga
from machines.verify import verify
from machines.waits import Waits
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.family_guards import Guard
from tests.unit.machines.verify.written import faults_without

TWICE = Retry(attempts=2)
EVENTS = {"STARTED": "Begun", "A": "Held", "DONE": "Sold", "UNDOING_A": "Undone"}
PROBE = get("shop", "/b/{saga.id}")


def hold(**columns):
    usual = {"call": post("shop", "/a"), "undo": post("shop", "/a/undo"), "done": "A", "refused": "NO_A"}
    return compensatable("a", **(usual | {"retry": TWICE} | columns))


def sell(**columns):
    usual = {"call": post("shop", "/b"), "done": "DONE", "refused": "NO_B", "retry": TWICE}
    return pivot("b", **(usual | columns))


def paused(**until):
    rests = pause("rest", **until, done="RESTED", refused="NO_REST")
    return saga(
        hold(call=post("shop", "/a", keeps={"until": datetime()})), rests, sell(),
        data={"who": text(), "day": datetime(), "end": datetime(), "night": date()},
    )  # fmt: skip


def asked():
    return wait("ok", signal="ok", within_s=60, done="OK", refused="NO_OK")


TABLES = {
    "paused": lambda: paused(for_s=60), "until": lambda: paused(until="day"),
    "until_date": lambda: paused(until="night"), "until_reply": lambda: paused(until="a.until"),
    "waiting": lambda: saga(hold(), asked(), sell()),
    "called_back": lambda: saga(hold(later=callback(within_s=60)), sell()),
    "probed": lambda: saga(sell(later=callback(within_s=60), probe=PROBE)),
    "polled": lambda: saga(sell(later=poll(PROBE, every_s=5, within_s=60), probe=PROBE)),
    "announced": lambda: saga(hold(), sell(), events=EVENTS),
    "skipped": lambda: saga(hold(when=equal("client_id", 4)), sell(), events=EVENTS),
}  # fmt: skip
LASTS = "(waits.for_s or 0.0)"
PROBED = "if saga.current.step and saga.current.step.probe:"
GUARDS = {
    "a_wait_lasts_as_long_as_its_table_says": Guard(
        owner=Waits, function="_left_s", table="waiting", text=LASTS, without=f"{LASTS} / 2",
    ),
    "a_pause_lasts_as_long_as_its_table_says": Guard(
        owner=Waits, function="_left_s", table="paused", text=LASTS, without=f"{LASTS} * 2",
    ),
    "an_answer_is_awaited_as_long_as_its_table_says": Guard(
        owner=Waits, function="_left_s", table="called_back", text=LASTS, without="0.5",
    ),
    "no_wait_is_longer_than_the_deadline": Guard(
        owner=Loop, function="_until_deadline", table="waiting", text="if left_s > 0 and saga.can_expire",
        without="if False",
    ),
    "a_pause_ends_at_the_moment_that_its_table_names": Guard(
        owner=Waits, function="_left_s", table="until", text="look_up(waits.until, saga.data, saga.results)",
        without='saga.data["end"]',
    ),
    "a_moment_has_its_own_zone": Guard(
        owner=waits, function="_moment", table="until", text="found if found.tzinfo else ", without="",
    ),
    "a_moment_of_a_reply_has_its_own_zone": Guard(
        owner=waits, function="_moment", table="until_reply", text="found if found.tzinfo else ", without="",
    ),
    "a_date_begins_at_midnight": Guard(
        owner=waits, function="_moment", table="until_date", text="found.replace(tzinfo=dt.UTC)",
        without="found.replace(hour=12, tzinfo=dt.UTC)",
    ),
    "a_pause_until_an_unknown_moment_does_not_end": Guard(
        owner=Waits, function="end", table="until_reply", text="return 0.0\n    if left_s > 0",
        without="left_s = 0.0\n    if left_s > 0",
    ),
    "no_attempt_is_made_after_the_deadline": Guard(
        owner=Loop, function="_wait", table="waiting", text="min(max(drawn, asked_s), longest_s)",
        without="max(drawn, asked_s)",
    ),
    "an_attempt_is_not_made_before_its_retry_after": Guard(
        owner=Loop, function="_wait", table="waiting", text="max(drawn, asked_s)", without="drawn",
    ),
    "a_retry_after_of_an_undo_is_obeyed_for_an_hour": Guard(
        owner=Loop, function="_wait", table="waiting", text="min(asked_s, obeyed_s)", without="asked_s",
    ),
    "no_poll_is_made_after_the_end_of_its_wait": Guard(
        owner=waits, function="before_poll", table="polled", users=(loop,),
        text="min(max(half_s + jitter(half_s), asked_s), left_s)", without="max(half_s + jitter(half_s), asked_s)",
    ),
    "a_poll_is_not_made_before_its_retry_after": Guard(
        owner=waits, function="before_poll", table="polled", users=(loop,),
        text="max(half_s + jitter(half_s), asked_s)", without="half_s + jitter(half_s)",
    ),
    "the_probe_is_asked_before_a_wait_ends_in_doubt": Guard(
        owner=Waits, function="end", table="probed", text=PROBED, without="if False:",
    ),
    "the_probe_is_asked_before_the_polls_end_in_doubt": Guard(
        owner=Waits, function="end", table="polled", text=PROBED, without="if False:",
    ),
    "an_answer_before_the_reply_is_taken": Guard(
        owner=Loop, function="_move_without_call", table="called_back", text="if at.called_back and",
        without="if False and",
    ),
    "a_saga_does_not_start_before_its_time": Guard(
        owner=Loop, function="_started", table="waiting", text="if (left_s := saga.entered - saga.clock()) > 0:",
        without="if (left_s := saga.entered - saga.clock()) > 100:",
    ),
    "a_saga_that_waits_for_its_start_is_due_then": Guard(
        owner=Loop, function="_started", table="waiting", text="self.release(saga, left_s)",
        without="self.release(saga, None)",
    ),
    "a_saga_whose_start_time_has_come_starts": Guard(
        owner=Loop, function="_started", table="waiting", text="if (left_s := saga.entered - saga.clock()) > 0:",
        without="if (left_s := saga.entered - saga.clock()) < 0:",
    ),
    "an_event_is_published_once": Guard(
        owner=RunningSaga, function="moved", table="announced", text="None if again else", without="",
    ),
    "a_skipped_step_publishes_no_event": Guard(
        owner=RunningSaga, function="moved", table="skipped", text="self.skipped and self.passes_by(trigger)",
        without="False",
    ),
    "an_event_is_published": Guard(
        owner=RunningSaga, function="moved", table="announced", text="transition.source == dest or trigger",
        without="True or trigger",
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_engine_with_every_guard_of_time_has_no_fault(table):
    result = verify(TABLES[table]())
    assert (result.faults, result.complete) == ([], True)


@pytest.mark.parametrize("guard", GUARDS)
def test_verify_finds_a_guard_of_time_that_is_taken_out(guard):
    (fault,) = faults_without(GUARDS[guard], TABLES[GUARDS[guard].table])
    assert len(fault.path) <= 8
