"""A `means=` that lets no reply of a call be a success is refused, because the step could never be done."""

import pytest

from machines import (
    ACCEPTED,
    IN_DOUBT,
    REFUSED,
    SUCCEEDED,
    Saga,
    boolean,
    callback,
    choice,
    compensatable,
    get,
    optional,
    pivot,
    poll,
    post,
    text,
)
from machines.check import TableError

STATE = {"state": choice("ready", "pending")}
READY = {"ready": ACCEPTED, "pending": ACCEPTED}


def table(call=None, **columns):
    usual = {"undo": post("bank", "/release"), "done": "HELD", "refused": "SHORT"}
    return Saga(
        name="loan", version=1, initial="ASKED", completed="PAID", compensated="OFF", participants=("bank",), data={},
        steps=(
            compensatable("hold", call or post("bank", "/hold"), **(usual | columns)),
            pivot("pay", post("bank", "/pay"), done="PAID", refused="DECLINED"),
        ),
    )  # fmt: skip


def polls(**asked):
    return {"later": poll(get("bank", "/holds/1", **asked), every_s=1, within_s=9)}


NEVER = {
    "poll: no value of 'state' means SUCCEEDED, so only its time ends the wait; leave one out": [
        polls(keeps=STATE, means={"state": READY}),
        polls(keeps=STATE, means={"state": {"ready": IN_DOUBT, "pending": ACCEPTED}}),
        {"call": post("bank", "/hold", keeps=STATE), **polls(means={"state": READY})},
        {"call": post("bank", "/hold", keeps=STATE, means={"state": READY}), **polls()},
    ],
    "poll: no value of 'ok' means SUCCEEDED": [polls(means={"ok": {True: ACCEPTED, False: ACCEPTED}})],
    "poll: 200 means accepted, so only its time ends the wait; leave 200 out": [polls(means={200: ACCEPTED})],
    "probe: no value of 'state' means SUCCEEDED, so the probe never finds what was done": [
        {"call": post("bank", "/hold", keeps=STATE),
         "probe": get("bank", "/holds/1", means={"state": {"ready": REFUSED, "pending": IN_DOUBT}})}
    ],
    "call: no value of 'ok' means SUCCEEDED, so the step is never done": [
        {"call": post("bank", "/hold", keeps={"ok": boolean()}, means={"ok": {True: REFUSED, False: REFUSED}})},
        {"call": post("bank", "/hold", means={"ok": {True: ACCEPTED, False: REFUSED}}), "later": callback(within_s=9)},
    ],
    "undo: no value of 'ok' means SUCCEEDED, so the step is never undone": [
        {"undo": post("bank", "/release", means={"ok": {True: REFUSED, False: IN_DOUBT}})}
    ],
}  # fmt: skip


@pytest.mark.parametrize(("problem", "columns"), [(each, one) for each, all_of in NEVER.items() for one in all_of])
def test_means_without_a_success_is_refused(problem, columns):
    with pytest.raises(TableError) as refused:
        table(**columns)
    assert f"step hold: the means= of its {problem}" in str(refused.value)


@pytest.mark.parametrize(
    "columns",
    [
        polls(keeps=STATE, means={"state": {"pending": ACCEPTED}}),
        polls(keeps=STATE, means={"state": READY | {"ready": SUCCEEDED}}),
        polls(keeps={"state": optional(choice("ready", "pending"))}, means={"state": READY}),
        polls(keeps={"state": text()}, means={"state": READY}),
        polls(means={200: ACCEPTED, 201: SUCCEEDED}),
        polls(means={200: ACCEPTED, "ok": {True: SUCCEEDED}}),
        polls(means={"paid": {True: SUCCEEDED}, "ok": {True: ACCEPTED, False: ACCEPTED}}),
        {"call": post("bank", "/hold", means={200: REFUSED})},  # 201 is done
        {
            "call": post("bank", "/hold", means={"ok": {True: ACCEPTED, False: REFUSED}}),
            **polls(means={"ok": {False: REFUSED}}),
        },
    ],
)
def test_means_with_a_success_is_legal(columns):
    assert table(**columns)
