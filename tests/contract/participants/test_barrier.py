"""The barrier, on each database: each key has one effect, which is undone at most once."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import update

from participants.barrier import Refused

REPLAYED = "Idempotent-Replayed"


def nothing() -> None:
    pass


def test_a_repeated_do_has_one_effect_and_gets_the_same_answer(box):
    first, again = box.do(), box.do()
    assert (first.status_code, first.json) == (201, {"put": 5, "slot": "left"})
    assert (again.status_code, again.data, again.content_type) == (201, first.data, first.content_type)
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert box.coins() == 5


def test_undo_reverses_the_effect_and_a_repeat_gets_the_same_answer(box):
    box.do()
    first, again = box.undo(), box.undo()
    assert (first.status_code, first.json) == (200, {"taken": 5})
    assert (again.status_code, again.data) == (200, first.data)
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert box.coins() == 0
    assert box.states() == {"s/put/do": "undone", "s/put/undo": "done"}


def test_undo_uses_the_recorded_effect_and_not_its_own_payload(box):
    box.do(coins=5)
    assert box.undo(body={"coins": 50}).json == {"taken": 5}
    assert box.coins() == 0


def test_repeated_undo_may_have_another_body(box):
    box.do()
    first = box.undo(body={"coins": 5})
    assert box.undo(body={"coins": 6}).data == first.data


def test_an_undo_before_its_do_is_accepted_and_the_late_do_is_refused(box):
    assert box.undo().json == {"undone": False, "reason": "never done"}
    late = box.do()
    assert (late.status_code, late.content_type) == (410, "application/problem+json")
    assert box.coins() == 0
    assert box.states() == {"s/put/do": "tombstone", "s/put/undo": "done"}


def test_repeated_undo_without_a_do_gets_the_same_answer(box):
    first, again = box.undo(), box.undo()
    assert (again.status_code, again.data, again.headers[REPLAYED]) == (200, first.data, "true")


def test_a_do_after_its_undo_is_refused(box):
    box.do()
    box.undo()
    assert box.do().status_code == 410
    assert box.do(coins=6).status_code == 410
    assert box.coins() == 0


def test_a_refusal_changes_nothing(box):
    refused = box.do(coins=101)
    assert (refused.status_code, refused.content_type) == (409, "application/problem+json")
    assert refused.json == {
        "type": "urn:problem:too-many",
        "title": "Too many",
        "status": 409,
        "detail": "101 coins",
    }
    assert box.coins() == 0


def test_a_refusal_is_remembered(box):
    refused = box.do(coins=101)
    box.largest = 1000
    again = box.do(coins=101)
    assert (again.status_code, again.data, again.content_type) == (409, refused.data, refused.content_type)
    assert again.headers[REPLAYED] == "true"
    assert box.coins() == 0
    assert box.states() == {"s/put/do": "refused"}


def test_a_retriable_step_does_not_remember_a_refusal(box):
    assert box.do(coins=101, path="/retriable").status_code == 409
    assert (box.coins(), box.states()) == (0, {})
    box.largest = 1000
    assert box.do(coins=101, path="/retriable").status_code == 201
    assert box.coins() == 101


def test_undo_of_a_refused_do_changes_nothing(box):
    box.do(coins=101)
    assert (box.undo().status_code, box.undo().json) == (200, {"undone": False, "reason": "was refused"})
    assert box.coins() == 0


@pytest.mark.parametrize(("path", "coins"), [("/put", 6), ("/put/right", 5)])
def test_the_same_key_with_another_request_is_unprocessable(box, path, coins):
    box.do(coins=5)
    other = box.do(coins=coins, path=path)
    assert (other.status_code, other.content_type) == (422, "application/problem+json")
    assert box.coins() == 5
    assert box.states() == {"s/put/do": "done"}


def test_the_order_of_a_body_s_fields_does_not_matter(box):
    box.post("/put", "s/put/do", {"coins": 5, "note": "a"})
    assert box.post("/put", "s/put/do", {"note": "a", "coins": 5}).status_code == 201


def aged(box, days):
    with box.app.app_context():
        table = box.barrier.ledger.table
        box.db.session.execute(update(table).values(at=datetime.now(UTC) - timedelta(days=days)))
        box.db.session.commit()


def pruned(box, late_call, late_undo):
    with box.app.app_context(), box.db.session.begin():
        return box.barrier.ledger.prune(late_call=timedelta(days=late_call), late_undo=timedelta(days=late_undo))


def test_pruning_keeps_what_an_undo_may_still_need(box):
    box.do("kept")
    box.do("undone")
    box.undo("undone")
    box.undo("tombstone")
    box.do("refused", coins=101)
    aged(box, days=8)
    box.do("young", coins=101)
    assert pruned(box, 7, 90) == 5
    assert box.states() == {"kept/put/do": "done", "young/put/do": "refused"}
    assert (box.undo("kept").json, box.coins()) == ({"taken": 5}, 0)


def test_pruning_deletes_a_done_action_when_no_undo_can_come_any_more(box):
    box.do()
    aged(box, days=91)
    assert pruned(box, 7, 90) == 1
    assert box.states() == {}


@pytest.mark.parametrize(("late_call", "late_undo"), [(7, 6), (-5, -1), (-5, 3)])
def test_pruning_refuses_an_undo_that_may_come_less_late_than_a_call_and_negative_times(box, late_call, late_undo):
    box.do()
    with pytest.raises(ValueError, match="late_undo must not be shorter"):
        pruned(box, late_call, late_undo)
    assert box.states() != {}


def test_a_body_that_is_nested_too_deeply_is_a_bad_request(box):
    headers = {"Idempotency-Key": "s/put/do"}
    answer = box.app.test_client().post("/put", headers=headers, data=b"[" * 20_000)
    assert (answer.status_code, answer.json["detail"]) == (400, "The body is nested too deeply")
    assert box.states() == {}


def test_a_missing_or_malformed_key_is_a_bad_request_that_names_the_header(box):
    keys = [None, "", "s", "s/put", "s/put/redo", "/put/do", "s//do", "s/put/do/do", "s/p ut/do", f"{'s' * 101}/put/do"]
    for path, key in product(["/put", "/retriable", "/take_back"], keys):
        bad = box.post(path, key, {"coins": 5})
        assert (bad.status_code, bad.content_type) == (400, "application/problem+json")
        assert "Idempotency-Key" in bad.json["detail"]
    assert (box.coins(), box.states()) == (0, {})


@pytest.mark.parametrize(("path", "key"), [("/put", "s/put/undo"), ("/take_back", "s/put/do")])
def test_a_key_of_the_other_direction_is_a_bad_request(box, path, key):
    assert box.post(path, key, {"coins": 5}).status_code == 400
    assert box.states() == {}


def test_body_that_is_not_a_json_object_is_a_bad_request(box):
    for body in ([], "text", 1, {"coins": float("nan")}):
        assert box.post("/put", "s/put/do", body).status_code == 400
    assert box.states() == {}


def test_a_crash_before_the_commit_is_not_remembered(box, crash):
    box.inside_view = crash
    assert box.do().status_code == 500
    assert (box.coins(), box.states()) == (0, {})
    box.inside_view = nothing
    assert box.do().status_code == 201
    assert box.coins() == 5


def test_crash_between_the_effect_and_the_reply_leaves_one_effect(box, crash):
    box.before_reply = crash
    assert box.do().status_code == 500
    box.before_reply = nothing
    again = box.do()
    assert (again.status_code, again.json, again.headers[REPLAYED]) == (201, {"put": 5, "slot": "left"}, "true")
    assert box.coins() == 5


@pytest.mark.parametrize("status", [500, 409])
def test_an_undo_that_crashes_or_is_refused_can_be_sent_again(box, status):
    def fail() -> None:
        raise RuntimeError if status == 500 else Refused(409, "Not now", "later")

    box.do()
    box.inside_view = fail
    assert box.undo().status_code == status
    assert (box.coins(), box.states()) == (5, {"s/put/do": "done"})
    box.inside_view = nothing
    assert box.undo().json == {"taken": 5}
    assert box.coins() == 0


def test_a_view_that_answers_an_error_instead_of_raising_it_has_no_effect(box):
    assert box.post("/answer_409", "s/put/do").status_code == 500
    assert (box.coins(), box.states()) == (0, {})


def test_ledger_contains_request_and_reply(box):
    box.do("a", coins=5)
    box.do("b", coins=6)
    with box.app.app_context():
        (row,) = box.barrier.ledger.entries("a")
    assert row.pop("at").endswith("+00:00")
    assert row == {
        "key": "a/put/do",
        "saga_id": "a",
        "step": "put",
        "direction": "do",
        "state": "done",
        "epoch": 7,
        "request": {"coins": 5},
        "status": 201,
        "reply": {"put": 5, "slot": "left"},
    }
    assert list(box.states()) == ["a/put/do", "b/put/do"]


def test_outcome_repeats_the_answer_of_its_call(box):
    assert box.outcome().status_code == 404
    done = box.do()
    asked = box.outcome()
    assert (asked.status_code, asked.json, asked.headers[REPLAYED]) == (done.status_code, done.json, "true")
    assert box.coins() == 5, "asking changes nothing"


def test_outcome_of_a_refused_or_undone_call_is_never_success(box):
    refused = box.do("refused", coins=1000)
    assert (box.outcome("refused").status_code, box.outcome("refused").json) == (409, refused.json)
    box.do("undone")
    box.undo("undone")
    box.undo("never")
    assert (box.outcome("undone").status_code, box.outcome("never").status_code) == (410, 410)
