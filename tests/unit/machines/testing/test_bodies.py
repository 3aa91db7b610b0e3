"""The bodies that a test gives are taken as they stand; only a reply without a body gets the fields of the table."""

import pytest

from machines import (
    IN_DOUBT,
    REFUSED,
    SUCCEEDED,
    Saga,
    amount,
    boolean,
    choice,
    compensatable,
    get,
    header,
    integer,
    list_of,
    nullable,
    object_of,
    optional,
    pivot,
    poll,
    post,
    retriable,
    text,
)
from machines.testing import accepted, always, every_outcome, given, lost, ok, replies

UNDO = post("stock", "/things/undo")
PAID = pivot("pay", post("bank", "/payments/{reserve.id}", thing="reserve.id"), done="PAID", refused="DECLINED")
SENT = retriable("send", post("mail", "/parcels"), done="SENT")


def table(*, undo=UNDO, keeps=None, pay=PAID, **columns):
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
        participants=("stock", "bank", "mail"), steps=(reserve, pay, SENT),
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


def charged(means, *, later=False, **columns):
    """Return a table whose step pay has these meanings, also those of its answer to a poll."""
    later = {"later": poll(get("bank", "/payments/last"), every_s=5, within_s=50)} if later else {}
    call = post("bank", "/payments", keeps={"status": choice("declined", "paid")}, means=means)
    pay = pivot("pay", call, done="PAID", refused="DECLINED", **later, **columns)
    return Saga(
        name="charge", version=1, initial="ASKED", completed="SENT", compensated="BACK", data={},
        participants=("bank", "mail"), steps=(pay, SENT),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("means", "reply"),
    [
        ({"status": {"declined": REFUSED}}, {"status": "paid"}),
        ({"status": {"paid": SUCCEEDED}}, {"status": "paid"}),
        ({"status": {"declined": REFUSED, "paid": SUCCEEDED}}, {"status": "paid"}),
        ({"status": {"paid": SUCCEEDED}, 200: IN_DOUBT}, {"status": "paid"}),
        ({200: IN_DOUBT}, {"status": "declined"}),
        ({200: REFUSED, 201: REFUSED}, {"status": "declined"}),
        ({"done": {False: REFUSED, None: REFUSED, True: SUCCEEDED}}, {"status": "declined"}),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_success_has_a_value_and_a_status_that_mean_a_success(means, reply, later):
    if later and any(isinstance(key, int) for key in means):
        return  # a status has no meaning for a poll
    start = given(charged(means, later=later)).when(pay=accepted) if later else given(charged(means))
    run = start.run().after(seconds=5) if later else start.run()
    assert (run.ended, run.results["pay"]) == ("SENT", reply)


STATUS = choice("declined", "paid")


@pytest.mark.parametrize(
    ("kept", "refuses"),
    [
        (optional(STATUS), {"it": {"declined": REFUSED}}),
        (nullable(STATUS), {"it": {"declined": REFUSED}}),
        (object_of({"status": STATUS}), {"it.status": {"declined": REFUSED}}),
        (object_of({"ok": boolean()}), {"it.ok": {True: REFUSED}}),
        (list_of(object_of({"status": STATUS}), low=1), {"it.0.status": {"declined": REFUSED}}),
        (list_of(STATUS, low=1), {"it.0": {"declined": REFUSED}}),
        (integer(high=2), {"it": {1: REFUSED, 0: REFUSED}}),
        (amount(), {"it": {0: SUCCEEDED}}),
        (text(low=2, high=2, example="NO"), {"it": {"NO": REFUSED, "aa": REFUSED}}),
    ],
)  # fmt: skip
def test_success_has_a_value_of_its_type_that_does_not_mean_a_refusal(kept, refuses):
    pay = post("bank", "/payments", keeps={"it": kept}, means=refuses)
    saga = table(pay=pivot("pay", pay, done="PAID", refused="DECLINED"))
    assert given(saga).run().ended == "SENT"


def test_success_of_a_probe_and_of_an_undo_means_a_success():
    probe = get("bank", "/payments/{saga.id}", keeps={"status": choice("no", "yes")}, means={"status": {"no": REFUSED}})
    assert given(charged({}, probe=probe)).when(pay=always(lost)).run().ended == "SENT"
    held = {"id": text(), "state": choice("held", "free")}  # an undo keeps nothing of this
    for meant in ({"gone": SUCCEEDED, None: IN_DOUBT}, {"held": REFUSED, "free": REFUSED, None: SUCCEEDED}):
        start = given(table(undo=post("stock", "/things/undo", means={"state": meant}), keeps=held))
        assert start.when(pay=replies(409)).run().calls == ["reserve", "pay", "undo reserve"]


def test_success_that_the_table_does_not_describe_is_an_error_that_says_what_to_give():
    means = {"code": {"17": REFUSED, None: IN_DOUBT}}
    with pytest.raises(ValueError, match=r"which value of code is a success; write replying\(pay=\{…\}\)"):
        given(charged(means)).run()
    body = {"code": "0", "status": "paid"}
    assert given(charged(means)).when(pay=ok(body)).run().ended == "SENT"
    assert given(charged(means)).replying(pay=body).run().ended == "SENT"
    undo = table(undo=post("stock", "/things/undo", means=means))
    with pytest.raises(ValueError, match=r"which value of code is a success; write when_undone\(reserve=ok"):
        given(undo).when(pay=replies(409)).run()
    assert given(undo).when(pay=replies(409)).when_undone(reserve=ok({"code": "0"})).run().ended == "BACK"


def test_every_outcome_refuses_with_a_status_that_the_table_takes_for_a_refusal():
    undo = post("stock", "/things/undo", means={409: SUCCEEDED})
    pay = pivot("pay", post("bank", "/payments", means={409: SUCCEEDED}), done="PAID", refused="DECLINED")
    saga = table(undo=undo, pay=pay)
    ends = {each.name: each.run().state for each in every_outcome(saga)}
    assert (ends["pay: refused"], ends["undo reserve: refused"]) == ("BACK", "STUCK_UNDO_RESERVE")
