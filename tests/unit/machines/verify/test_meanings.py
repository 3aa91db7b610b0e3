"""`saga verify` tries each reply for which `means=` may say something untrue, and finds the harm."""

import pytest

from machines import (
    ACCEPTED,
    IN_DOUBT,
    NEVER,
    NOT_SENT,
    REFUSED,
    REFUSED_UNDO,
    SUCCEEDED,
    Retry,
    choice,
    compensatable,
    get,
    header,
    integer,
    object_of,
    pivot,
    poll,
    post,
    read,
    text,
)
from machines.registry import Registry
from machines.verify import verify
from machines.verify.words import lines_of
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.written import passes, source_for

TWICE = Retry(attempts=2)


def selling(means=None, probe=None, **columns):
    probe = None if probe is None else get("shop", "/sale/{saga.id}", means=probe)
    kept = {"keeps": columns.pop("keeps")} if "keeps" in columns else {}
    call = post("shop", "/sale", means=means or {}, **kept)
    return saga(pivot("sell", call, probe=probe, done="DONE", refused="NO_SALE", **({"retry": TWICE} | columns)))


def holding(means=None, undo=None, **kept):
    call, back = post("shop", "/hold", means=means or {}, **kept), post("shop", "/hold/undo", means=undo or {})
    return saga(
        compensatable("hold", call, undo=back, done="HELD", refused="NO_HOLD", retry=TWICE),
        pivot("sell", post("shop", "/sale"), done="DONE", refused="NO_SALE", retry=TWICE),
    )


def polling(means, **keeps):
    return selling(later=poll(get("shop", "/sale", means=means, **keeps), every_s=5, within_s=60))


UNTRUE = {
    "sell 500": selling({500: REFUSED}),
    "sell 502": selling({502: SUCCEEDED}),
    "sell 504": selling({504: NOT_SENT}),
    "sell 507": selling({507: REFUSED}),
    "sell 408": selling({408: REFUSED}),
    "sell 302": selling({302: SUCCEEDED}),
    "sell 202": selling({202: REFUSED}),
    "sell 201": selling({201: REFUSED}),
    "sell 422": selling({422: SUCCEEDED}),
    "sell 429": selling({429: SUCCEEDED}),
    "hold 500": holding({500: REFUSED}),
    "undo hold 500": holding(undo={500: SUCCEEDED}),
    "undo hold 422": holding(undo={422: SUCCEEDED}),
    "probe sell 404": selling(probe={404: SUCCEEDED}),
    "probe sell 503": selling(probe={503: SUCCEEDED}),
    "poll sell 500": polling({500: REFUSED}),
    "poll sell 404": polling({404: SUCCEEDED}),
    "poll sell state": polling({"state": {"paid": SUCCEEDED}}, keeps={"state": text()}),
    "hold 200": holding({200: REFUSED}),
    "undo hold 423": holding(undo={423: SUCCEEDED}),
    "sell ok": selling({"ok": {True: SUCCEEDED}}),
    "sell state": selling({"state": {"paid": SUCCEEDED}}, keeps={"state": text()}),
    "sell status": selling({"status": {"paid": SUCCEEDED}}),
    "sell code": selling({"code": {0: SUCCEEDED}}),
    "sell error": selling({"error": {None: SUCCEEDED}}),
    "sell error.code": selling({"error.code": {"NO_MONEY": REFUSED, "CLOSED": REFUSED}}),
    "sell mark": selling({"mark": {"b": REFUSED}}, keeps={"mark": choice("a", "b", "c")}),
    "undo hold state": holding(undo={"state": {"gone": SUCCEEDED}}),
    "probe sell status": selling(probe={"status": {"captured": SUCCEEDED, "authorised": REFUSED}}),
    "sell sale.state": selling(
        {"sale.state": {"a": REFUSED}}, keeps={"sale": object_of({"state": choice("a", "b", "c")})}
    ),
    "sell of": selling({"of": {"a": SUCCEEDED}}, keeps={"of": choice("a", "b")}),
}


@pytest.mark.parametrize("subject", UNTRUE)
def test_verify_finds_an_untrue_meaning_with_a_path_to_the_harm(subject):
    (fault,) = verify(UNTRUE[subject]).faults
    assert fault.name == f"untrue meaning:{subject}"
    assert 2 <= len(fault.path) <= 5
    assert "Then " in fault.why


@pytest.mark.parametrize("subject", ["sell 500", "undo hold 500", "probe sell 404", "sell ok"])
def test_author_vouches_for_a_meaning(subject):
    result = verify(UNTRUE[subject], accepted=[f"untrue meaning:{subject}"])
    assert (result.faults, result.complete) == ([], True)


@pytest.mark.parametrize("means", [{200: REFUSED}, {500: REFUSED}])
@pytest.mark.parametrize("retry", [TWICE, NEVER])
def test_probe_that_says_no_for_what_may_be_done_is_a_flaw(means, retry):
    (fault,) = verify(selling(probe=means, retry=retry)).faults
    assert fault.name == f"untrue meaning:probe sell {next(iter(means))}"
    assert len(lines_of(fault)) == 3


TRUE = {
    "a missing field refuses": selling({"id": {None: REFUSED}}),
    "a missing field of an object refuses": selling({"order.id": {None: REFUSED}}),
    "false and a missing field refuse": selling({"ok": {False: REFUSED, None: REFUSED}}),
    "a missing field refuses the undo": holding(undo={"id": {None: REFUSED}}),
    "a missing error succeeds": selling({"error": {None: SUCCEEDED, "NO": REFUSED}, 200: IN_DOUBT}),
    "the example of a field refuses": selling(
        {"state.of": {1: REFUSED}}, keeps={"state": object_of({"of": integer(high=1)})}
    ),
    "the status decides beside a field that may refuse": selling(
        {201: SUCCEEDED, "state": {"declined": REFUSED}}, keeps={"state": choice("declined", "paid")}
    ),
    "a refusal with an undo beside a field that may refuse": holding(
        {409: REFUSED_UNDO, "state": {"declined": REFUSED}}, keeps={"state": choice("declined", "held")}
    ),
    "a field decides beside a field that may refuse": selling(
        {200: IN_DOUBT, "state": {"declined": REFUSED}, "code": {0: SUCCEEDED}},
        keeps={"state": choice("declined", "paid"), "code": integer()},
    ),
    "no credit is said with 403": selling({403: REFUSED}),
    "it exists already": selling({409: SUCCEEDED}),
    "accepted, and that is all": selling({202: SUCCEEDED}),
    "any 200 will do": selling({200: SUCCEEDED}),
    "locked for now": selling({423: NOT_SENT}),
    "a 409 may be the first attempt": selling({409: IN_DOUBT}),
    "a 500 that is undone as well": holding({500: REFUSED_UNDO}),
    "gone already": holding(undo={404: SUCCEEDED}),
    "the job is at work": polling({200: ACCEPTED, 201: SUCCEEDED}),
    "false is no": selling({"ok": {False: REFUSED}}),
    "any other value is in doubt": selling({200: IN_DOUBT, "status": {"paid": SUCCEEDED}}),
    "any other value of an undo is in doubt": holding(undo={200: IN_DOUBT, "state": {"gone": SUCCEEDED}}),
    "any other value of a probe is in doubt": selling(probe={200: IN_DOUBT, "status": {"captured": SUCCEEDED}}),
    "the other of two values": selling({"of": {"a": REFUSED}}, keeps={"of": choice("a", "b")}),
    "the other of two values, in any order": selling({"of": {"b": REFUSED}}, keeps={"of": choice("a", "b")}),
    "the code of an error": selling({"error": {"exists": SUCCEEDED}}),
    "the code of an error, and others": selling({"error": {"NO_MONEY": REFUSED, "busy": IN_DOUBT}}),
    "the code of an error that refuses, of one status": selling({409: IN_DOUBT, "error": {"NO_MONEY": REFUSED}}),
    "any other error in a 200 is in doubt": selling({200: IN_DOUBT, "error": {"NO_MONEY": REFUSED, None: SUCCEEDED}}),
    "each value has a meaning": selling(
        {"of": {"a": SUCCEEDED, "b": IN_DOUBT}}, keeps={"of": choice("a", "b")}
    ),
    "a read that may fail": saga(
        read("look", get("shop", "/look", means={500: SUCCEEDED}), done="SEEN", refused="NO_LOOK"),
        pivot("sell", post("shop", "/sale"), done="DONE", refused="NO_SALE", retry=TWICE),
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", TRUE)
def test_meaning_that_its_author_can_know_is_no_flaw(table):
    assert not verify(TRUE[table]).faults


def asking(path, means=None, *, keeps=None, polled=None, **asks):
    """Return a table whose poll refers to the reply that accepts the call. polled: means= of the poll."""
    later = poll(get("shop", path, means={500: REFUSED} if polled is None else polled, **asks), every_s=5, within_s=60)
    return selling(means, keeps=keeps or {}, later=later)


TAKEN = {201: ACCEPTED, 202: IN_DOUBT}
QUEUED = {202: IN_DOUBT, "state": {"queued": ACCEPTED}}
ASKING = {
    "a field that is not kept": asking("/jobs/{sell.id}"),
    "the whole path": asking("{sell.url}"),
    "the query": asking("/jobs", query={"job": "sell.job.id"}),
    "a kept field": asking("/jobs/{sell.id}", keeps={"id": text()}),
    "a kept header": asking("/jobs/{sell.id}", keeps={"id": header("X-Job")}),
    "a status that accepts": asking("/jobs/{sell.id}", TAKEN),
    "a header beside a status that accepts": asking("/jobs/{sell.id}", TAKEN, keeps={"id": header("X-Job")}),
    "a field that accepts": asking("/jobs/{sell.id}", QUEUED),
    "a header beside a field that accepts": asking("/jobs/{sell.id}", QUEUED, keeps={"id": header("X-Job")}),
}


@pytest.mark.parametrize("reference", ASKING)
def test_verify_explores_the_wait_of_a_poll_that_refers_to_the_accepting_reply(reference):
    result = verify(ASKING[reference])
    assert [fault.name for fault in result.faults] == ["untrue meaning:poll sell 500"]
    source = source_for(result, Registry([ASKING[reference]]))
    assert not passes(source, Registry([ASKING[reference]]))


@pytest.mark.parametrize("path", ["/jobs/{sell.id}", "{sell.url}"])
def test_wait_of_a_sound_table_is_reached_by_a_field_that_is_not_kept(path):
    result = verify(asking(path, polled={}))
    assert (result.faults, result.complete, result.unreached) == ([], True, ())


def test_value_without_a_meaning_is_found_beside_a_kept_header():
    keeps = {"state": text(), "id": header("X-Sale")}
    (fault,) = verify(selling({"state": {"paid": SUCCEEDED}}, keeps=keeps)).faults
    assert fault.name == "untrue meaning:sell state"


def test_poll_may_refer_into_a_field_that_the_undo_takes_as_a_whole():
    hold = compensatable(
        "hold", post("shop", "/hold"), undo=post("shop", "/hold/undo", job="hold.job"), done="HELD", refused="NO_HOLD",
        later=poll(get("shop", "/jobs/{hold.job.id}"), every_s=5, within_s=60), repeatable=True, retry=TWICE,
    )  # fmt: skip
    result = verify(saga(hold, pivot("sell", post("shop", "/sale"), done="DONE", refused="NO_SALE", retry=TWICE)))
    assert (result.faults, result.unreached) == ([], ())
