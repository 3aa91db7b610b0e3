"""Faults that are planted in tables: `saga verify` finds each of them, and names the step."""

import pytest

from machines import (
    IN_DOUBT,
    NEVER,
    REFUSED,
    Retry,
    above,
    any_of,
    approval,
    boolean,
    compensatable,
    computed,
    delete,
    equal,
    fallback,
    get,
    integer,
    is_true,
    list_of,
    money,
    object_of,
    optional,
    pause,
    pivot,
    poll,
    post,
    put,
    read,
    retriable,
    text,
    uuid,
    wait,
)
from machines.registry import Registry
from machines.verify import verify
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.written import passes, source_for

DAY_S = 86_400
MONTH = {"deadline_s": 30 * DAY_S}
PRICE = read("price", get("shop", "/price", keeps={"total": money()}), done="PRICED", refused="NO_PRICE")


def hold(keeps=None, **columns):
    undo = post("shop", "/hold/undo", of="saga.id")
    return compensatable(
        "hold", post("shop", "/hold", keeps=keeps or {}), undo=undo, done="HELD", refused="NO_HOLD", **columns
    )


def booked(call, undo, **columns):
    return compensatable("book", call, undo=undo, done="BOOKED", refused="NOT_BOOKED", **columns)


def pay(done="DONE", **body):
    return pivot("pay", post("shop", "/pay", **body), done=done, refused="NO_PAY")


def release(done="RELEASED"):
    return approval("release", role="operator", within_s=5 * DAY_S, done=done, refused="NOT_RELEASED")


def rest(name, seconds):
    return pause(name, for_s=seconds, done=f"RESTED_{name.upper()}", refused=f"NOT_RESTED_{name.upper()}")


FLAWED = {
    "read after the pivot": (
        saga(pay("PAID"), read("stock", get("shop", "/stock/{client_id}"), done="DONE")),
        "pivot too early:stock",
    ),
    "refusable retriable after the pivot": (
        saga(pay("PAID"), retriable("ship", post("shop", "/ship", means={422: REFUSED}), done="DONE")),
        "pivot too early:ship",
    ),
    "refusable by a field after the pivot": (
        saga(pay("PAID"), retriable("ship", post("shop", "/ship", means={"ok": {False: REFUSED}}), done="DONE")),
        "pivot too early:ship",
    ),
    "price read before an approval of five days": (
        saga(PRICE, release(), pay(total="price.total"), **MONTH),
        "stale read:price",
    ),
    "probe of the last payment": (
        saga(pivot("pay", post("shop", "/pay"), probe=get("shop", "/pay"), retry=NEVER, done="DONE", refused="NO")),
        "shared probe:pay",
    ),
    "probe by a customer": (
        saga(hold(probe=get("shop", "/hold", query={"of": "client_id"}), retry=NEVER), pay()),
        "shared probe:hold",
    ),
    "probe by a customer, of a call that is sent once": (
        saga(
            pay("PAID"),
            retriable("tell", post("shop", "/tell", retry=NEVER), probe=get("shop", "/told/{client_id}"), done="DONE"),
        ),
        "shared probe:tell",
    ),
    "poll of the last job": (
        saga(hold(later=poll(get("shop", "/jobs/last"), every_s=5, within_s=50), retry=NEVER), pay()),
        "shared probe:hold",
    ),
    "probe by what was read of a customer": (
        saga(
            read("cust", get("shop", "/cust/{client_id}", keeps={"no": text()}), done="KNOWN", refused="UNKNOWN"),
            hold(probe=get("shop", "/hold/{cust.no}/last"), retry=NEVER),
            pay(),
        ),
        "shared probe:hold",
    ),
    "probe by what was put for a customer": (
        saga(
            pivot("pay", put("shop", "/due/{client_id}", keeps={"no": text()}), done="PAID", refused="NO_PAY"),
            retriable("tell", post("shop", "/tell"), probe=get("shop", "/told/{pay.no}"), retry=NEVER, done="DONE"),
        ),
        "shared probe:tell",
    ),
    "probe by the body of a signal": (
        saga(
            wait("sign", signal="sign", brings={"no": text()}, within_s=50, done="SIGNED", refused="NOT_SIGNED"),
            hold(probe=get("shop", "/hold/{sign.no}"), retry=NEVER),
            pay(),
        ),
        "shared probe:hold",
    ),
    "put and undo by a customer": (
        saga(booked(put("shop", "/bookings/{client_id}"), delete("shop", "/bookings/{client_id}")), pay()),
        "shared undo:book",
    ),
    "put by a customer, and undo by the id of its reply": (
        saga(
            booked(
                put("shop", "/bookings/{client_id}", keeps={"id": text()}),
                delete("shop", "/bookings/{book.id}"),
                repeatable=True,
            ),
            pay(),
        ),
        "shared undo:book",
    ),
    "put by a customer, with its saga in the body": (
        saga(
            booked(
                put("shop", "/bookings/{client_id}", of="saga.id"),
                delete("shop", "/bookings/{client_id}", query={"of": "saga.id"}),
            ),
            pay(),
        ),
        "shared undo:book",
    ),
    "undo by a customer, of a call that is sent once": (
        saga(booked(post("shop", "/book", retry=NEVER), delete("shop", "/book/{client_id}")), pay()),
        "shared undo:book",
    ),
    "undo that may be without its id": (
        saga(
            booked(
                post("shop", "/book", keeps={"id": optional(text())}),
                post("shop", "/undo", of=fallback("book.id", "client_id")),
                repeatable=True,
            ),
            pay(),
        ),
        "shared undo:book",
    ),
    "price read before two pauses that are long together": (
        saga(PRICE, rest("a", 59), rest("b", 59), pay(total="price.total"), **MONTH),
        "stale read:price",
    ),
    "price read before a pause": (
        saga(PRICE, pause("cool", for_s=DAY_S, done="COOLED", refused="NOT_COOLED"), pay(total="price.total"), **MONTH),
        "stale read:price",
    ),
}


@pytest.mark.parametrize("flaw", FLAWED)
def test_verify_finds_a_flaw_in_the_design_of_a_table(flaw):
    table, name = FLAWED[flaw]
    (found,) = verify(table, most_states=1).faults
    assert found.name == name
    assert len(found.sentences) == 3


@pytest.mark.parametrize("flaw", FLAWED)
def test_author_accepts_a_flaw(flaw):
    table, name = FLAWED[flaw]
    assert not verify(table, most_states=1, accepted=[name]).faults


#: The table without its flaw.
MENDED = {
    "read after the pivot": saga(
        read("stock", get("shop", "/stock/{client_id}"), done="KNOWN", refused="NO_STOCK"), pay()
    ),
    "refusable by a field after the pivot": saga(
        pivot("ship", post("shop", "/ship", means={"ok": {False: REFUSED}}), done="SHIPPED", refused="NOT_SHIPPED"),
        retriable("pay", post("shop", "/pay"), done="DONE"),
    ),
    "price read before a pause": saga(
        pause("cool", for_s=DAY_S, done="COOLED", refused="NOT_COOLED"), PRICE, pay(total="price.total"), **MONTH
    ),
    "probe by a customer": saga(hold(probe=get("shop", "/hold", query={"of": "saga.id"}), retry=NEVER), pay()),
    "put and undo by a customer": saga(
        booked(put("shop", "/bookings/{saga.id}"), delete("shop", "/bookings/{saga.id}")), pay()
    ),
}


@pytest.mark.parametrize("flaw", FLAWED)
def test_written_test_fails_until_the_flaw_is_mended(flaw):
    table, name = FLAWED[flaw]
    source = source_for(verify(table, most_states=1), Registry([table]))
    assert not passes(source, Registry([table]))
    assert ("given(TABLE)" in source) == name.startswith("pivot too early")
    if flaw in MENDED:
        assert passes(source, Registry([MENDED[flaw]]))


SOUND = {
    "probe with the key of its call": saga(hold(probe=get("shop", "/hold")), pay()),
    "probe by its id": saga(hold(probe=get("shop", "/hold/{saga.id}"), retry=NEVER), pay()),
    "probe by a header with its key": saga(
        hold(probe=get("shop", "/hold", headers={"Ref": "saga.key"}), retry=NEVER), pay()
    ),
    "probe by a uuid of the data": saga(
        hold(probe=get("shop", "/hold/{of.order}"), retry=NEVER),
        pay(),
        data={"client_id": integer(), "of": object_of({"order": uuid()})},
    ),
    "probe by an earlier reply": saga(
        hold(keeps={"id": text(low=1)}),
        pivot(
            "pay", post("shop", "/pay"), probe=get("shop", "/pay/{hold.id}"), retry=NEVER, done="DONE", refused="NO_PAY"
        ),
    ),
    "probe by what was read about an earlier reply": saga(
        hold(keeps={"id": text(low=1)}),
        read("bill", get("shop", "/bill/{hold.id}", keeps={"no": text(low=1)}), done="BILLED", refused="NO_BILL"),
        pivot(
            "pay", post("shop", "/pay"), probe=get("shop", "/pay/{bill.no}"), retry=NEVER, done="DONE", refused="NO_PAY"
        ),
    ),
    "undo at a participant with a barrier": saga(booked(post("shop", "/book"), post("shop", "/undo")), pay()),
    "undo by the id of its reply": saga(
        booked(post("shop", "/book", keeps={"id": text()}), delete("shop", "/book/{book.id}"), repeatable=True), pay()
    ),
    "put with its id in the body": saga(
        booked(put("shop", "/bookings", id="saga.id"), delete("shop", "/bookings/{saga.id}")), pay()
    ),
    "put into what the saga has made": saga(
        hold(keeps={"id": text(low=1)}),
        booked(put("shop", "/hold/{hold.id}/seat"), delete("shop", "/hold/{hold.id}/seat")),
        pay(),
    ),
    "put without an undo": saga(pay("PAID"), retriable("tell", put("shop", "/told/{client_id}"), done="DONE")),
    "read that needs the reply of the pivot": saga(
        pivot("pay", post("shop", "/pay", keeps={"id": text()}), done="PAID", refused="NO_PAY"),
        read("slip", get("shop", "/slip/{pay.id}"), done="DONE"),
    ),
    "price read after the approval": saga(release(), PRICE, pay(total="price.total"), **MONTH),
    "price read again between two pauses": saga(rest("a", 59), PRICE, rest("b", 59), pay(total="price.total"), **MONTH),
    "price that only an undo uses": saga(
        PRICE,
        compensatable(
            "hold",
            post("shop", "/hold"),
            undo=post("shop", "/undo", total="price.total"),
            done="HELD",
            refused="NO_HOLD",
        ),
        release(),
        pay(),
        **MONTH,
    ),
}


@pytest.mark.parametrize("table", SOUND)
def test_sound_design_has_no_flaw(table):
    assert not [each for each in verify(SOUND[table], most_states=1).findings if each.step]


def test_undo_that_cannot_know_its_id_is_found(monkeypatch):
    monkeypatch.setattr("machines.attempts._lost_reply", lambda saga: saga.current.undoes)
    monkeypatch.setattr("machines.saga.Saga.taken", lambda *_: ({}, {"id": ""}))
    table = saga(
        compensatable(
            "a", post("shop", "/a", keeps={"id": text()}), undo=delete("shop", "/a/{a.id}"), repeatable=True,
            retry=Retry(attempts=2), done="A", refused="NO_A",
        ),
        pay(),
    )  # fmt: skip
    assert [each.broken for each in verify(table).faults] == ["undo knows its id"]


def test_call_that_is_retried_at_a_participant_without_keys_takes_effect_twice():
    call = post("shop", "/pay", retry={IN_DOUBT: Retry(attempts=2)})
    (fault,) = verify(saga(pivot("pay", call, done="DONE", refused="NO_PAY", retry=NEVER))).faults
    assert (fault.broken, fault.why) == ("once", "pay took effect twice")


def test_late_call_to_a_participant_without_tombstones_is_a_risk_and_no_fault():
    table = saga(
        compensatable(
            "a", post("shop", "/a"), undo=delete("shop", "/a/{saga.id}"), retry=NEVER, done="A", refused="NO_A",
        ),
        pay(),
    )  # fmt: skip
    result = verify(table)
    assert (result.faults, [each.broken for each in result.risks][:1]) == ([], ["nothing left"])


NEVER_PAID = pivot(
    "pay",
    post("shop", "/pay", means={"ok": {True: REFUSED, None: IN_DOUBT}}),  # what a success looks like is forgotten
    done="PAID",
    refused="NO_PAY",
)


def test_saga_that_only_a_person_completes_is_a_fault_and_its_states_are_named():
    table = saga(NEVER_PAID, retriable("tell", post("shop", "/tell"), done="DONE"))
    result = verify(table)
    assert [(each.broken, each.why) for each in result.faults] == [
        ("can complete", "no path leads to DONE, unless a person resolves a step")
    ]
    assert result.unreached == ("PAID", "STUCK_TELL", "DONE")
    source = source_for(result, Registry([table]))
    assert not passes(source, Registry([table]))
    assert passes(source, Registry([saga(pay("PAID"), retriable("tell", post("shop", "/tell"), done="DONE"))]))


def second(lines):
    return lines[1]


def after_pay(keeps=None, when=None, **body):
    return saga(
        read("look", get("shop", "/look", keeps=keeps or {}), done="SEEN", refused="NO_LOOK"),
        pay("PAID"),
        retriable("tell", post("shop", "/tell", **body), when=when, done="DONE"),
        data={"client_id": integer(), "lines": list_of(text(), low=1)},
    )


UNFIT = {
    "look.kind is 7": after_pay(when=equal("look.kind", "x")),
    "look.n is some text": after_pay(when=any_of(is_true("look.ok"), above("look.n", 3))),
    "second": after_pay(sku=computed(second, "lines")),
    "which is conditional": after_pay(
        keeps={"ok": boolean()}, when=is_true("look.ok"), sku=computed(second, "lines")
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", UNFIT)
def test_step_after_the_pivot_that_cannot_be_sent_is_a_fault(why):
    (fault,) = verify(UNFIT[why]).faults
    assert (fault.broken, fault.path[-1][1].row.state) == ("can be sent", "STUCK_TELL")
    assert not passes(source_for(verify(UNFIT[why]), Registry([UNFIT[why]])), Registry([UNFIT[why]]))


@pytest.mark.parametrize(
    "table",
    [
        after_pay(keeps={"kind": text()}, when=equal("look.kind", "x")),
        after_pay(keeps={"ok": boolean(), "n": integer()}, when=any_of(is_true("look.ok"), above("look.n", 3))),
        saga(
            read("look", get("shop", "/look"), done="SEEN", refused="NO_LOOK"),
            hold(when=equal("look.kind", "x")),
            pay(),
        ),
    ],
)
def test_condition_about_a_typed_field_or_before_the_pivot_is_no_fault(table):
    assert not verify(table).faults
