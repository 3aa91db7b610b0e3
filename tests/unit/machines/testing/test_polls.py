"""A test runs steps whose answer is asked for by polls: later=poll(…)."""

import pytest

from machines import Saga, compensatable, get, header, integer, pivot, poll, post, text
from machines.testing import (
    NotAllowedError,
    accepted,
    always,
    down,
    every_outcome,
    given,
    lost,
    ok,
    pending,
    refused,
    unheard,
)


def table(*, keeps=None, path="/jobs/{pick.job}", asks=None, probe=None, within_s=600, deadline_s=900):
    return Saga(
        name="parcel", version=1, initial="ASKED", completed="PAID", compensated="BACK", data={},
        participants=("warehouse", "bank"), deadline_s=deadline_s,
        steps=(
            compensatable(
                "pick", post("warehouse", "/jobs", keeps=keeps or {}), undo=post("warehouse", "/jobs/undo"),
                later=poll(get("warehouse", path, **(asks or {})), every_s=30, within_s=within_s), probe=probe,
                done="PICKED", refused="NONE_LEFT",
            ),
            pivot("pay", post("bank", "/payments"), done="PAID", refused="DECLINED"),
        ),
    )  # fmt: skip


def test_saga_waits_for_its_polls_and_goes_on_when_time_passes():
    saga = given(table()).when(pick=accepted).when_polled(pick=[pending, pending]).run()
    assert (saga.state, saga.status, saga.due_in_s, saga.calls) == ("AWAITING_PICK", "waiting", 30, ["pick"])
    saga.after(seconds=29)
    assert saga.calls == ["pick"]
    saga.after(seconds=1)
    assert (saga.calls, saga.due_in_s) == (["pick", "poll pick"], 45)  # half as long again
    saga.after(minutes=5)
    assert saga.calls == ["pick", "poll pick", "poll pick", "poll pick", "pay"]
    assert (saga.ended, saga.calls[1].path) == ("PAID", "/jobs/pick-job")
    assert "pick: done (after 3 polls)" in str(saga)


def test_refusal_that_a_poll_learns_makes_the_saga_go_back():
    saga = given(table()).when(pick=accepted).when_polled(pick=[pending, refused("NO_STOCK")]).run().after(hours=1)
    assert (saga.ended, saga.calls, saga.effects["pick"]) == ("BACK", ["pick", "poll pick", "poll pick"], "not done")
    assert "NO_STOCK" in saga.error


@pytest.mark.parametrize("answer", [pending, unheard, down, refused("unknown", 404)])
def test_step_without_an_answer_in_time_is_undone_too(answer):
    saga = given(table()).when(pick=accepted).when_polled(pick=always(answer)).run().after(hours=1)
    assert (saga.ended, saga.seconds, saga.calls[-1]) == ("BACK", 3_600, "undo pick")
    assert [move.made for move in saga.journal if move.dest == "BACK"] == [600]


def test_probe_decides_when_no_poll_has_brought_an_answer():
    probed = table(probe=get("warehouse", "/picked/{saga.id}"))
    saga = given(probed).when(pick=accepted).when_polled(pick=[always(lost)]).run().after(hours=1)
    assert saga.calls[-2:] == ["probe pick", "pay"]


def test_poll_whose_reply_is_lost_is_sent_again():
    saga = given(table()).when(pick=accepted).when_polled(pick=lost).run().after(hours=1)
    assert (saga.ended, saga.calls) == ("PAID", ["pick", "poll pick", "poll pick", "pay"])
    assert saga.participants.entry("pick").done == 1


def test_address_of_the_poll_can_come_from_a_header_of_the_202():
    saga = given(table(keeps={"url": header("Location")}, path="{pick.url}"))
    run = saga.when(pick=accepted(headers={"Location": "https://warehouse.example/jobs/7"})).run().after(hours=1)
    assert (run.ended, run.calls[1].path) == ("PAID", "https://warehouse.example/jobs/7")
    assert saga.when(pick=accepted).run().after(hours=1).ended == "PAID"


def test_values_of_the_answer_are_kept_beside_those_of_the_202():
    keeps = {"job": text(), "weight": integer()}
    saga = given(table(keeps=keeps)).when(pick=accepted).when_polled(pick=ok({"weight": 7})).run()
    assert saga.calls == ["pick"]  # the 202 has the fields that the poll needs, and no other
    assert saga.after(hours=1).results["pick"]["weight"] == 7


def test_wrong_words_about_polls_are_named():
    with pytest.raises(NotAllowedError, match=r"the saga asks for the answer to pick: write when_polled\(pick=…\)"):
        given(table()).when(pick=accepted).run().answer("pick")
    with pytest.raises(ValueError, match="has no step pay with a poll; it has pick"):
        given(table()).when_polled(pay=pending)


def test_every_outcome_has_those_of_the_polls():
    scenarios = {each.__name__: each for each in every_outcome(table())}
    ends = {name: each.run().after(days=1).ended for name, each in scenarios.items() if "accepted" in name}
    assert ends == {
        "pick: accepted, done at the first poll": "PAID",
        "pick: accepted, done after two polls": "PAID",
        "pick: accepted, then refused": "BACK",
        "pick: accepted, a poll is lost, then it is done": "PAID",
        "pick: accepted, the poll fails with 500": "PAID",
        "pick: accepted, the poll is not reachable for a while": "PAID",
        "pick: accepted, not known to the poll": "BACK",
        "pick: accepted, never answered": "BACK",
    }


def test_polls_without_an_answer_end_with_a_long_wait_after_few_requests():
    saga = given(table(within_s=20 * 86_400, deadline_s=30 * 86_400)).when(pick=accepted)
    run = saga.when_polled(pick=always(pending)).run().after(days=25)
    assert (run.ended, run.seconds, len(run.calls) < 1_000) == ("BACK", 25 * 86_400, True)
