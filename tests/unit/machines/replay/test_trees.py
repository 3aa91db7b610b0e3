"""The journals of a saga and of its children, replayed as one test."""

import runpy

import pytest

from machines import Saga, branch, compensatable, each, list_of, pivot, post, sub, text, together
from machines.replay.playing import difference, play, play_once
from machines.replay.source import source_of
from machines.replay.trees import redacted_tree, tree_recording
from machines.replay.what_if import UnknownChangeError, changed
from machines.testing import always, every_outcome, given, items, lost, ok, refused
from tests.support.journals import journalled


def step(name, **sent):
    return compensatable(
        name, post("shop", f"/{name}", keeps={"id": text()}, **sent), undo=post("shop", f"/{name}/undo"),
        done=f"{name.upper()}_DONE", refused=f"{name.upper()}_REFUSED",
    )  # fmt: skip


PAYMENT = Saga(
    name="payment", version=1, initial="OPEN", completed="CHARGE_DONE", compensated="NOT_CHARGED", data={},
    participants=("shop",), steps=(step("hold"), step("charge")),
)  # fmt: skip
BILL = branch("bill", step("invoice"), step("archive"))
ORDER = Saga(
    name="order", version=1, initial="NEW", completed="SENT", compensated="OFF", participants=("shop",),
    data={"lines": list_of(text())},
    steps=(
        each("lines", step("reserve", sku="item"), done="RESERVED", refused="SHORT"),
        together(step("label"), BILL, name="papers", done="OK", refused="NO"),
        sub("pay", saga="payment", keeps={"charge.id": text()}, done="PAID", refused="UNPAID"),
        pivot("send", post("shop", "/send", charge="pay.charge.id"), done="SENT", refused="NOT_SENT"),
    ),
)  # fmt: skip
DATA = {"lines": ["pen", "ink", "pad"]}


def replayed(run, tmp_path):
    """Replay the journals of a run, and run the written test."""
    played = play(tree_recording(journalled(run), [PAYMENT]))
    assert difference(played) is None, f"{difference(played)}\n{run}\n{played.run}"
    written = source_of(played, None, title="order", sagas="samples")
    for name, version in (("order", 1), ("payment", 1)):
        written = written.replace(f'discover("samples").get("{name}", {version})', f"KNOWN[{name!r}]")
    file = tmp_path / "written.py"
    file.write_text(written)
    runpy.run_path(str(file), {"KNOWN": {"order": ORDER, "payment": PAYMENT}})[
        "test_order_goes_the_way_of_its_journal"
    ]()
    return played


@pytest.mark.parametrize("scenario", every_outcome(ORDER, DATA, [PAYMENT]), ids=lambda each: each.__name__)
def test_every_outcome_of_a_tree_is_replayed(scenario, tmp_path):
    replayed(scenario.run(), tmp_path)


def test_replies_of_each_item_and_child_are_those_of_the_journal(tmp_path):
    start = given(ORDER, DATA).when(reserve=items(ok({"id": "a"}), ok({"id": "b"})))
    run = start.when(pay=given(PAYMENT).replying(charge={"id": "R7"})).run()
    played = replayed(run, tmp_path)
    assert played.run.calls[-1].body == {"charge": "R7"}
    assert [child.results["reserve"]["id"] for child in played.run.children[:3]] == ["a", "b", "text"]


@pytest.mark.parametrize("outcomes", [{}, {"send": refused()}], ids=["completed", "compensated"])
def test_redacted_tree_goes_the_way_of_its_journal(outcomes):
    run = given(ORDER, DATA, [PAYMENT]).when(**outcomes).run()
    tree = redacted_tree(journalled(run))
    assert {child.data["item"] for child in tree.children[:3]} == set(tree.data["lines"]) != set(DATA["lines"])
    played = play(tree_recording(tree, [PAYMENT]))
    assert difference(played) is None, f"{difference(played)}\n{played.run}"


def test_person_who_helped_a_branch_is_in_the_test(tmp_path):
    run = given(ORDER, DATA, [PAYMENT]).when(send=refused()).when_undone(reserve=items(ok, refused("LOCKED"))).run()
    run.child("reserve", 1).resolve("done by hand")
    assert run.ended == "OFF"
    played = replayed(run, tmp_path)
    assert [(act.method, act.child) for act in played.done] == [("resolve", (("reserve", 1),))]


def test_child_that_ends_elsewhere_is_a_difference():
    found = tree_recording(journalled(given(ORDER, DATA, [PAYMENT]).when(label=refused()).run()), [PAYMENT])
    other = play_once(changed(found, "label=ok"))
    assert difference(other) is not None
    kept = play(tree_recording(journalled(given(ORDER, DATA, [PAYMENT]).run()), [PAYMENT]))
    assert difference(kept) is None
    assert difference(play_once(changed(kept.recording, "archive=lost"))) is None  # the end is the same


def test_what_if_changes_one_item_or_every_call_of_a_branch():
    played = play(tree_recording(journalled(given(ORDER, DATA, [PAYMENT]).run()), [PAYMENT]))
    one = play_once(changed(played.recording, "reserve[1]=refused")).run
    assert (one.ended, one.effects["reserve[0]"], one.effects["reserve[1]"]) == ("OFF", "undone", "not done")
    assert play_once(changed(played.recording, "invoice=refused")).run.ended == "OFF"
    stuck = play_once(changed(played.recording, "undo archive=always-lost"))
    assert stuck.run.ended == "SENT"
    child = play_once(changed(played.recording, "pay.charge=refused"))
    assert (child.run.ended, child.run.took_effect) == ("OFF", [])
    assert "undo pay.hold" in child.assumed
    assert "pay.charge" not in child.assumed
    with pytest.raises(UnknownChangeError, match=r"reserve\[0\].*undo pay\.charge.*; reserve\[1\] is the second item"):
        changed(played.recording, "papers=refused")


def test_lost_reply_in_a_branch_is_unknown_to_the_journal(tmp_path):
    run = given(ORDER, DATA, [PAYMENT]).when(archive=always(lost)).run()
    assert any("archive" in note for note in replayed(run, tmp_path).recording.unknown)


MUST = Saga(
    name="order", version=1, initial="NEW", completed="DONE", compensated="OFF", participants=("shop",),
    data={"lines": list_of(text())},
    steps=(pivot("sell", post("shop", "/sell"), done="SOLD", refused="NOT_SOLD"),
           each("lines", step("reserve", sku="item"), step("mark"), name="all", done="DONE")),
)  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        {"reserve": items(ok, ok, [refused(), ok])},
        {"mark": items(ok, ok, [refused(), ok])},
        {"mark": items(ok, ok, [refused(), ok]), "reserve": items(ok, ok, [ok({"id": "old"}), ok({"id": "new"})])},
    ],
)
def test_children_that_were_started_again_give_the_answers_of_all_their_starts(said):
    run = given(MUST, DATA).when(**said).run()
    assert run.state == "STUCK_ALL"
    run.retry()
    assert run.ended == "DONE"
    found = tree_recording(journalled(run))
    played = play(found)
    assert (difference(played), found.unknown) == (None, ())
    assert [call.step for call in played.run.calls] == [call.step for call in run.calls]
    assert [child.results for child in played.run.children] == [child.results for child in run.children]
