"""The bodies that a test gives are taken as they stand; only a reply without a body gets the fields of the table."""

import pytest

from machines import REFUSED, SUCCEEDED, Saga, compensatable, get, header, integer, pivot, poll, post, retriable, text
from machines.testing import accepted, always, given, lost, ok, replies

UNDO = post("stock", "/things/undo")
PAID = pivot("pay", post("bank", "/payments/{reserve.id}", thing="reserve.id"), done="PAID", refused="DECLINED")
SENT = retriable("send", post("mail", "/parcels"), done="SENT")


def table(*, undo=UNDO, keeps=None, **columns):
    reserve = compensatable(
        "reserve",
        post("stock", "/things", keeps=keeps or {}),
        undo=undo,
        done="RESERVED",
        refused="NONE_LEFT",
        **columns,
    )
    return Saga(
        name="gift", version=1, initial="ASKED", completed="SENT", compensated="BACK", data={},
        participants=("stock", "bank", "mail"), steps=(reserve, PAID, SENT),
    )  # fmt: skip


BODIES = [{"idd": 7}, {"id": None}, {}, [], "7", {"id": {"deep": 1}}]


@pytest.mark.parametrize("body", BODIES, ids=str)
def test_incomplete_body_leaves_the_call_in_doubt_until_it_goes_back(body):
    for saga in (given(table()).when(reserve=always(ok(body))), given(table()).replying(reserve=body)):
        run = saga.run()
        assert run.calls == ["reserve"] * 4 + ["undo reserve"]
        assert (run.ended, run.took_effect) == ("BACK", [])


def test_wrong_type_of_a_field_that_the_table_keeps_leaves_the_call_in_doubt():
    start = given(table(keeps={"id": integer()}))
    assert start.when(reserve=always(ok({"id": "seven"}))).run().ended == "BACK"
    assert start.when(reserve=ok({"id": 7})).run().results["reserve"] == {"id": 7}


def test_incomplete_body_of_a_step_that_must_succeed_is_stuck():
    steps = (
        pivot("pay", post("bank", "/payments"), done="PAID", refused="DECLINED"),
        retriable("send", post("mail", "/parcels", keeps={"slip": text()}), done="SENT"),
    )
    saga = Saga(
        name="parcel", version=1, initial="ASKED", completed="SENT", compensated="BACK", participants=("bank", "mail"),
        data={}, steps=steps,
    )  # fmt: skip
    run = given(saga).when(send=always(ok({"slipp": "S1"}))).run()
    assert (run.state, run.stuck) == ("STUCK_SEND", True)


def test_body_of_the_repeated_call_is_taken_after_a_lost_reply():
    run = given(table()).when(reserve=[lost, ok({"id": "12A"})]).run()
    assert (run.calls[:2], run.calls[2].body) == (["reserve", "reserve"], {"thing": "12A"})
    assert run.effects["reserve"] == "took effect"


def test_reply_without_a_body_has_the_fields_that_the_table_needs():
    for answer in (ok, ok(takes_s=3), replies(201), replies(201, headers={"X-Shop": "1"})):
        assert given(table()).when(reserve=answer).run().results["reserve"] == {"id": "reserve-id"}


def test_headers_of_the_test_are_taken_as_they_stand():
    start = given(table(keeps={"id": header("Location", last_segment=True)}))
    assert start.when(reserve=ok(headers={"Location": "/things/7"})).run().results["reserve"] == {"id": "7"}
    assert start.when(reserve=always(ok(headers={"Locatoin": "/things/7"}))).run().ended == "BACK"
    assert (
        start.when(reserve=ok({"any": 1})).run().ended == "SENT"
    )  # no header is given, so those of the table are sent


def test_body_of_an_undo_is_read_by_its_meanings():
    undo = post("stock", "/things/undo", means={"status": {"gone": SUCCEEDED, "kept": REFUSED}})
    start = given(table(undo=undo)).when(pay=replies(409))
    assert start.when_undone(reserve=ok({"status": "gone"})).run().ended == "BACK"
    assert start.when_undone(reserve=ok({"status": "kept"})).run().state == "STUCK_UNDO_RESERVE"


def test_probe_that_takes_its_time_answers_what_the_participant_keeps():
    probe = get("stock", "/things/{saga.id}")
    run = given(table(probe=probe)).when(reserve=lost).when_probed(reserve=ok(takes_s=2)).run()
    assert (run.calls[:2], run.ended, run.seconds >= 2) == (["reserve", "probe reserve"], "SENT", True)


def test_accepted_body_is_taken_as_it_stands():
    waits = poll(get("stock", "/things/{reserve.id}"), every_s=30, within_s=60)
    run = given(table(later=waits)).when(reserve=always(accepted({"idd": 7}))).run()
    assert "poll reserve" not in run.calls
