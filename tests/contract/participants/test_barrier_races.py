"""The barrier with calls that really overlap, in threads and transactions, on each database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROUNDS = 15

#: How long the first of two calls stays unfinished, in seconds. If the second call wrongly did not wait for the first,
#: it would end within this time.
OVERLAP_S = 0.3


def test_simultaneous_duplicates_of_a_do_have_one_effect_and_one_answer(box, at_once):
    for number in range(ROUNDS):
        replies = at_once(*[lambda saga=f"s{number}": box.do(saga)] * 8)
        assert {(reply.status_code, reply.data) for reply in replies} == {(201, replies[0].data)}
        assert sum("Idempotent-Replayed" in reply.headers for reply in replies) == 7
    assert box.coins() == 5 * ROUNDS


def test_simultaneous_duplicates_of_an_undo_have_one_effect_and_one_answer(box, at_once):
    for number in range(ROUNDS):
        saga = f"s{number}"
        box.do(saga)
        replies = at_once(*[lambda saga=saga: box.undo(saga)] * 8)
        assert {(reply.status_code, reply.json["taken"]) for reply in replies} == {(200, 5)}
        assert sum("Idempotent-Replayed" in reply.headers for reply in replies) == 7
    assert box.coins() == 0


def test_a_do_and_its_undo_at_the_same_time_end_balanced(box, at_once):
    orders = set()
    for number in range(ROUNDS * 2):
        saga = f"s{number}"
        pair = [lambda saga=saga: box.do(saga), lambda saga=saga: box.undo(saga)]
        replies = {reply.request.path: reply for reply in at_once(*(pair if number % 2 else reversed(pair)))}
        done, undone = replies["/put"], replies["/take_back"]
        orders.add((done.status_code, undone.status_code, undone.json.get("taken")))
        assert box.states(saga)[f"{saga}/put/do"] == ("undone" if done.status_code == 201 else "tombstone")
        assert box.coins() == 0
    assert orders <= {(201, 200, 5), (410, 200, None)}


@pytest.mark.parametrize("second", ["do", "undo"])
def test_call_waits_for_an_uncommitted_call_with_the_same_key(box, second):
    """Send the second call while the first is inside its view, so that the result does not depend on the scheduler."""
    inside, answered = threading.Event(), threading.Event()

    def wait_for_the_other() -> None:
        box.inside_view = lambda: None
        inside.set()
        answered.wait(OVERLAP_S)

    def send_second():
        assert inside.wait(60)
        reply = getattr(box, second)()
        answered.set()
        return reply

    box.inside_view = wait_for_the_other
    with ThreadPoolExecutor(2) as pool:
        first, other = pool.submit(box.do), pool.submit(send_second)
    assert first.result().status_code == 201
    expected = (201, {"put": 5, "slot": "left"}, 5) if second == "do" else (200, {"taken": 5}, 0)
    assert (other.result().status_code, other.result().json, box.coins()) == expected


def test_do_that_waits_for_its_undo_is_refused(box):
    """The do arrives while the transaction of the undo is about to record its tombstone."""
    inside, answered = threading.Event(), threading.Event()
    record = box.barrier.ledger.record

    def slow_record(*args):
        inside.set()
        answered.wait(OVERLAP_S)
        record(*args)

    def send_do():
        assert inside.wait(60)
        box.barrier.ledger.record = record
        reply = box.do()
        answered.set()
        return reply

    box.barrier.ledger.record = slow_record
    with ThreadPoolExecutor(2) as pool:
        undone, late = pool.submit(box.undo), pool.submit(send_do)
    assert (undone.result().status_code, late.result().status_code, box.coins()) == (200, 410, 0)


def test_different_sagas_at_the_same_time_all_succeed(box, at_once):
    replies = at_once(*[lambda number=number: box.do(f"s{number}", coins=1) for number in range(12)])
    assert [reply.status_code for reply in replies] == [201] * 12
    assert box.coins() == 12


numbers = count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.sampled_from(["do", "undo", "do, crash", "undo, crash", "do, reply lost"]), max_size=8))
def test_any_order_of_calls_leaves_one_effect_or_none(box, crash, calls):
    saga, before, allowed = f"h{next(numbers)}", box.coins(), 1
    done = 0
    for call in calls:
        verb, _, accident = call.partition(", ")
        box.inside_view = crash if accident == "crash" else lambda: None
        box.before_reply = crash if accident == "reply lost" else lambda: None
        status = getattr(box, verb)(saga).status_code
        box.before_reply = box.inside_view = lambda: None
        if verb == "do" and accident != "crash" and allowed:
            done = 1
        if verb == "undo" and status == 200:
            done = allowed = 0
        assert box.coins() - before == 5 * done
