"""An answer that no call gets, and a signal that no wait takes, make the test fail as soon as nothing can use them."""

import os
from pathlib import Path

import pytest

from machines import Saga, boolean, callback, compensatable, each, get, list_of, pivot, post, retriable, sub, text, wait
from machines.testing import (
    NotAllowedError,
    NotUsedError,
    accepted,
    always,
    every_outcome,
    given,
    items,
    lost,
    ok,
    refused,
    unheard,
)

ROOT = Path(__file__).parents[4]
pytest_plugins = ["pytester"]


def step(name, **columns):
    return compensatable(
        name, post("shop", f"/{name}"), undo=post("shop", f"/{name}/undo"), done=f"{name.upper()}_DONE",
        refused=f"{name.upper()}_REFUSED", **columns,
    )  # fmt: skip


def table(*steps, **columns):
    return Saga(
        name="order", version=1, initial="NEW", completed=steps[-1].done, compensated="OFF", participants=("shop",),
        deadline_s=86_400, **{"data": {}} | columns, steps=steps,
    )  # fmt: skip


PAY = pivot("pay", post("shop", "/pay"), done="PAID", refused="POOR")
SOLD = table(step("hold", probe=get("shop", "/holds/{saga.id}")), PAY, retriable("tell", post("shop", "/t"), done="T"))
ASKED = table(step("hold"), wait("agree", signal="go", within_s=60, brings={"ok": boolean()}, done="A", refused="B"),
              PAY)  # fmt: skip
CHARGE = table(step("fee"), step("charge"))
BASKET = table(
    each("lines", step("take"), done="TAKEN", refused="SHORT"),
    sub("bill", saga="charge", data={}, done="BILLED", refused="UNBILLED"), PAY, data={"lines": list_of(text())},
)  # fmt: skip
BILL = Saga(
    name="charge", version=1, initial="OPEN", completed="CHARGE_DONE", compensated="UNCHARGED", data={},
    participants=("shop",), steps=(step("fee"), step("charge")),
)  # fmt: skip
LINES = {"lines": ["pen", "ink"]}

UNUSED = {
    "more answers than calls": (
        lambda: given(SOLD).when(pay=[ok, ok, refused()]),
        "pay used 1 of its 3 answers, so the answers ok, refused('no') were not used; leave out what is not used, or",
    ),
    "a step that is never reached": (
        lambda: given(SOLD).when(hold=refused(), pay=refused("POOR")),
        "pay was never called, so its answer refused('POOR') was not used",
    ),
    "an answer without an end": (lambda: given(SOLD).when(hold=refused(), pay=always(lost)), "pay was never called"),
    "an undo that is not sent": (lambda: given(SOLD).when_undone(hold=refused()), "undo hold was never called"),
    "a probe that is not sent": (lambda: given(SOLD).when_probed(hold=lost), "probe hold was never called"),
    "an answer behind the deadline of no use": (
        lambda: given(SOLD).when(pay=[lost, ok, always(lost)]), "so the answer always(lost) was not used",
    ),
    "an early signal": (
        lambda: given(ASKED).when(hold=refused()).with_signal("go", ok=True), "no wait took the signal go",
    ),
    "a third item of two": (
        lambda: given(BASKET, LINES, [BILL]).when(take=items(ok, ok, refused())), "take[2] was never called",
    ),
    "an answer that no item needs": (
        lambda: given(BASKET, LINES, [BILL]).when(take=[ok, lost]), "take used 1 of its 2 answers",
    ),
    "a step of a child": (
        lambda: given(BASKET, LINES).when(bill=given(BILL).when(fee=refused(), charge=lost)),
        "bill.charge was never called",
    ),
    "a child that is not started": (
        lambda: given(BASKET, LINES).when(take=items(refused()), bill=given(BILL).when(fee=lost)),
        "bill.fee was never called",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSED)
def test_answer_that_nothing_uses_fails_at_the_end_of_the_run(case):
    write, problem = UNUSED[case]
    with pytest.raises(NotUsedError) as caught:
        write().run()
    assert problem in str(caught.value)
    assert write().allowing_unused().run().status in ("completed", "compensated")


def test_answer_that_some_item_uses_is_used():
    assert given(BASKET, LINES, [BILL]).when(take=items([lost, ok], ok)).run().ended == "PAID"
    saga = given(BASKET, LINES, [BILL]).when(take=[lost, ok]).run()
    assert saga.calls.count("take[0]") == 2


def test_answer_may_wait_for_the_next_words_of_the_test():
    saga = given(ASKED).when(pay=refused("POOR")).run()
    assert saga.unused == ["pay was never called, so its answer refused('POOR') was not used"]
    assert (saga.signal("go", ok=True).ended, saga.unused) == ("OFF", [])
    with pytest.raises(NotUsedError, match="pay was never called"):
        given(ASKED).when(pay=refused("POOR")).run().after(minutes=1)
    stuck = given(SOLD).when(tell=[*[refused()] * 2, ok]).run()
    assert (stuck.stuck, stuck.retry().stuck, stuck.retry().ended) == (True, True, "T")
    with pytest.raises(NotUsedError, match="hold used 1 of its 2 answers"):
        given(ASKED).when(hold=[ok, refused()]).run()  # it waits behind this call, and cannot come back to it


def test_second_signal_of_a_name_is_an_error():
    with pytest.raises(ValueError, match="order v1: the signal go is sent twice; the first one counts"):
        given(ASKED).with_signal("go", ok=True).with_signal("go", ok=False)


def test_answer_to_a_child_waits_until_the_saga_can_start_none():
    asked = wait("agree", signal="go", within_s=60, brings={}, done="A", refused="B")
    named = wait("name", signal="named", within_s=60, brings={}, done="N", refused="O")
    both = table(asked, each("lines", step("take"), named, name="line", done="TAKEN", refused="SHORT"), PAY,
                 data={"lines": list_of(text())})  # fmt: skip
    late = given(both, {"lines": ["pen"]}).when(take=lost).with_signal("named")
    assert late.run().signal("go").ended == "PAID"
    with pytest.raises(NotUsedError, match="take was never called"):
        late.run().after(minutes=1)
    with pytest.raises(NotUsedError, match="no wait took the signal named"):
        given(both, {"lines": ["pen"]}).with_signal("named").run().after(minutes=1)


def test_child_may_allow_unused_answers_alone():
    bill = given(BILL).when(fee=refused(), charge=lost).allowing_unused()
    assert given(BASKET, LINES).when(bill=bill).run().ended == "OFF"


def test_undo_of_a_completed_saga_may_still_come():
    only = table(step("hold"))
    assert given(only).when_undone(hold=lost).run().compensate().calls == ["hold", "undo hold", "undo hold"]


def test_every_outcome_may_have_answers_that_are_not_reached():
    names = [each.name for each in every_outcome(SOLD) if each.when(tell=lost).run().after(days=1).unused]
    assert "pay: refused" in names


def test_time_after_the_end_is_an_error():
    with pytest.raises(NotAllowedError, match="the saga has ended in T, where time changes nothing"):
        given(SOLD).run().after(days=1)
    assert given(SOLD).allowing_unused().run().after(days=1).seconds == 86_400
    assert given(table(step("hold"))).run().after(days=1).compensate().ended == "OFF"  # a person may take it back


def test_call_arrives_late_only_when_it_was_lost_on_its_way():
    saga = given(SOLD).when(hold=always(unheard)).when_probed(hold=always(lost)).run()
    assert (saga.ended, saga.effects["hold"]) == ("OFF", "not done")
    assert saga.arrives("hold").effects["hold"] == "not done"  # the barrier refuses what comes after the undo
    with pytest.raises(NotAllowedError, match="no call of pay is on its way; one gets lost by unheard or died_before"):
        saga.arrives("pay")
    once = given(SOLD).when(hold=unheard).when_probed(hold=lost).run().arrives("hold")
    with pytest.raises(NotAllowedError, match="no call of hold is on its way"):
        once.arrives("hold")


def test_answer_and_signal_come_only_while_somebody_waits():
    later = table(wait("agree", signal="go", within_s=60, brings={}, done="A", refused="B"),
                  step("hold", later=callback(within_s=60)))  # fmt: skip
    with pytest.raises(NotAllowedError, match="the saga is in NEW, and hold has not been called yet"):
        given(later).run().answer("hold")
    saga = given(later).when(hold=accepted).run().signal("go").answer("hold")
    assert saga.ended == "HOLD_DONE"
    with pytest.raises(NotAllowedError, match="takes no answer to hold any more"):
        saga.answer("hold")
    with pytest.raises(NotAllowedError, match="does not wait for the signal go any more"):
        saga.signal("go")


def test_plug_in_fails_a_test_that_ends_before_its_answers_are_used(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}{os.pathsep}{ROOT}")
    pytester.makepyfile(
        "from machines import Saga, pivot, post, wait\n"
        "from machines.testing import given, refused\n"
        "STEPS = (wait('agree', signal='go', within_s=60, done='A', refused='B'),\n"
        "         pivot('pay', post('shop', '/pay'), done='PAID', refused='POOR'))\n"
        "T = Saga(name='order', version=1, initial='NEW', completed='PAID', compensated='OFF', data={},\n"
        "         participants=('shop',), steps=STEPS)\n"
        "def test_forgets_the_signal():\n"
        "    assert given(T).when(pay=refused()).run().ended != 'PAID'\n"
        "def test_means_it():\n"
        "    assert given(T).when(pay=refused()).allowing_unused().run().ended is None\n"
        "def test_uses_it():\n"
        "    assert given(T).when(pay=refused()).run().signal('go').ended == 'OFF'\n"
    )
    report = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "machines.testing.pytest_plugin")
    report.assert_outcomes(failed=1, passed=2)
    report.stdout.fnmatch_lines(["*order v1: pay was never called, so its answer refused('no') was not used*"])
