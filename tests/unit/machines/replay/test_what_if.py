"""What if: signals and later answers that come, refuse or never come; and a change that the saga does not come to."""

import pytest

from machines import (
    REFUSED,
    Saga,
    approval,
    callback,
    choice,
    compensatable,
    each,
    list_of,
    pivot,
    post,
    sub,
    text,
    wait,
)  # fmt: skip
from machines.replay.playing import play_once
from machines.replay.recording import recording
from machines.replay.trees import tree_recording
from machines.replay.what_if import UnknownChangeError, changed, not_reached
from machines.testing import accepted, given, ok
from tests.support.journals import journal_of, journalled

ASKED = approval("release", role="operator", within_s=600, done="RELEASED", refused="HELD")
SIGNED = wait("sign", signal="signed", within_s=600, brings={"code": choice("no", "yes")},
              means={"code": {"no": REFUSED}}, done="SIGNED", refused="UNSIGNED")  # fmt: skip
NOTED = wait("note", signal="note", within_s=600, brings={"text": text()}, done="NOTED", refused="UNNOTED")
LATER = compensatable(
    "book", post("hotel", "/rooms"), undo=post("hotel", "/rooms/undo"), later=callback(within_s=600), done="BOOKED",
    refused="FULL",
)  # fmt: skip
PAID = Saga(
    name="paid", version=1, initial="OPEN", completed="RELEASED", compensated="SHUT", data={}, participants=("hotel",),
    deadline_s=9_000,
    steps=(LATER, ASKED),
)  # fmt: skip
TREE = Saga(
    name="tree", version=1, initial="ASKED", completed="SENT", compensated="BACK", data={"lines": list_of(text())},
    participants=("hotel",), deadline_s=90_000,
    steps=(
        NOTED,
        each("lines", LATER, SIGNED, name="rooms", done="ROOMS", refused="NO_ROOMS"),
        sub("pay", saga="paid", data={}, done="PAID", refused="UNPAID"),
        pivot("send", post("hotel", "/s"), done="SENT", refused="UNSENT"),
    ),
)  # fmt: skip


def tree():
    """Return the recording of a tree in which every signal and answer has come."""
    run = given(TREE, {"lines": ["a", "b"]}, [PAID]).when(book=accepted, pay=given(PAID).when(book=accepted)).run()
    run.signal("note", text="Ada")
    for item in (0, 1):
        run.child("rooms", item).after(seconds=1).answer("book", ok).signal("signed", code="yes")
    run.child("pay").after(seconds=1).answer("book", ok).signal("release", approved=True)
    assert run.ended == "SENT"
    return tree_recording(journalled(run), [PAID])


@pytest.mark.parametrize(
    ("change", "end", "undone"),
    [
        ("signal note=never", "BACK", None),
        ("signal signed[1]=refused", "BACK", "book[1]"),
        ("signal signed[0]=never", "BACK", "book[0]"),
        ("signal signed[1]=ok", "SENT", None),
        ("answer book[1]=refused", "BACK", None),
        ("answer book[0]=never", "BACK", None),
        ("signal pay.release=refused", "BACK", "pay.book"),
        ("answer pay.book=refused", "BACK", None),
    ],
)
def test_what_if_changes_a_signal_and_a_later_answer(change, end, undone):
    other = play_once(changed(tree(), change))
    assert (other.run.ended, not_reached(other, change)) == (end, "")
    assert undone is None or other.run.effects[undone] == "undone"


def test_what_if_lets_a_signal_come_that_did_not_come():
    run = given(PAID).when(book=accepted).run().answer("book", ok).after(minutes=10)
    assert run.ended == "SHUT"
    made = recording(PAID, {}, journal_of(run))
    assert play_once(changed(made, "signal release=ok")).run.ended == "RELEASED"
    assert play_once(changed(made, "answer book=never")).run.journal[-1].dest == "SHUT"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("signal note=refused", "no body of the signal note means refused"),
        ("signal note=lost", "'lost' is no outcome of the signal note; use ok, refused, never"),
        ("signal sign=ok", r"changes no call; write CALL=OUTCOME with .*signal note.*signal signed\[0\]"),
        ("answer send=ok", "changes no call"),
    ],
)
def test_change_of_a_signal_that_cannot_be_is_refused(change, problem):
    with pytest.raises(UnknownChangeError, match=problem):
        changed(tree(), change)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("undo pay.book=lost", "not reached: the saga makes no call undo pay.book"),
        ("undo book[1]=lost", "not reached: the saga makes no call undo book[1]"),
        ("book[1]=lost", ""),
        ("book[7]=lost", "not reached: the saga makes no call book[7]"),
        ("signal signed[2]=never", "not reached: the saga does not wait for the signal signed[2]"),
        ("answer book[2]=never", "not reached: the saga does not wait for the answer to book[2]"),
        ("undo:book[0]=lost", "not reached: the saga makes no call undo book[0]"),
    ],
)
def test_change_that_the_saga_does_not_come_to_is_not_reached(change, problem):
    assert not_reached(play_once(changed(tree(), change)), change) == problem
