"""A circuit breaker opens, allows one trial call, and closes. A call that it stops never counts as refused."""

import threading

import pytest

from app.breaker import BreakerPolicy, BreakerState
from app.calls.breakers import GuardedSender
from app.calls.client import Request
from app.participant_settings.pace import PACE
from app.shared_cache import SharedCache
from machines.outcomes import Outcome
from machines.replies import Reply, outcome_of

OK, BROKEN, GONE = Reply(status=200, body={}), Reply(status=503, body={}), Reply(error="no connection", sent=False)
SILENT = Reply(error="no answer within 5 s")


class Peer:
    """A participant behind a circuit breaker. The test sets its reply and the time."""

    def __init__(self):
        self.reply, self.now, self.sent, self.closed = OK, 0.0, 0, []
        self.during = lambda: None
        policy = BreakerPolicy(failures=5, open_s=30, window_s=60)
        self.guarded = GuardedSender(
            self, dict.fromkeys(["stock", "client"]), policy, SharedCache(None, None), lambda: self.now,
            on_close=lambda: self.closed.append(self.now),
        )  # fmt: skip

    def send(self, _request):
        self.sent += 1
        self.during()
        return self.reply

    def call(self, participant="stock", reply=None, *, sent_now=False):
        self.reply = reply or self.reply
        url = f"http://{participant}/"
        request = Request(
            participant=participant, method="POST", url=url, headers={}, body={}, timeout_s=5.0, sent_now=sent_now
        )
        return self.guarded.send(request)

    def fail(self, times=5, reply=BROKEN):
        for _ in range(times):
            self.call(reply=reply)

    @property
    def state(self):
        return self.guarded.states["stock"]


@pytest.fixture
def peer():
    return Peer()


@pytest.mark.parametrize("failure", [BROKEN, GONE, SILENT])
def test_breaker_opens_after_five_failures_and_no_call_is_sent(peer, failure):
    peer.fail(4, failure)
    assert peer.state is BreakerState.CLOSED
    peer.fail(1, failure)
    assert peer.state is BreakerState.OPEN
    assert (peer.call(reply=OK).sent, peer.sent) == (False, 5)


def test_call_stopped_by_the_breaker_is_deferred_and_never_refused(peer):
    peer.fail()
    peer.now += 10
    reply = peer.call()
    assert outcome_of(reply, frozenset()) is Outcome.NOT_SENT
    assert (reply.retry_after_s, reply.reason) == (20.0, "the breaker of stock is open")


def test_calls_that_are_held_back_get_one_turn_each(peer):
    peer.fail()
    replies = [peer.call() for _ in range(3)]
    assert [reply.retry_after_s for reply in replies] == [30.0] * 3
    assert [reply.turn_s for reply in replies] == pytest.approx([0.0, 1 / PACE, 2 / PACE])


def test_turns_begin_again_when_the_breaker_opens_again(peer):
    peer.fail()
    for _ in range(3):
        peer.call()
    peer.now += 30
    peer.call(reply=BROKEN)
    assert [peer.call().turn_s for _ in range(2)] == pytest.approx([0.0, 1 / PACE])


def test_closing_the_breaker_is_announced(peer):
    peer.fail()
    peer.now += 30
    peer.call(reply=OK)
    peer.call(reply=OK)
    assert peer.closed == [30.0]


@pytest.mark.parametrize("status", [200, 302, 404, 408, 409, 422])
def test_an_answer_between_failures_resets_the_count(peer, status):
    peer.fail(4)
    peer.call(reply=Reply(status=status, body={}))
    peer.fail(4)
    assert peer.state is BreakerState.CLOSED


@pytest.mark.parametrize("status", [301, 401, 403, 429])
def test_call_turned_away_between_failures_does_not_reset_the_count(peer, status):
    peer.fail(4)
    for _ in range(10):
        assert peer.call(reply=Reply(status=status, body={})).status == status
    assert peer.state is BreakerState.CLOSED, "a gateway that turns calls away is no failure of the participant"
    peer.fail(1)
    assert peer.state is BreakerState.OPEN, "nor is it a success that clears its failures"


def test_404_of_another_server_does_not_reset_the_count(peer):
    peer.fail(4)
    peer.call(reply=Reply(status=404))
    peer.fail(1)
    assert peer.state is BreakerState.OPEN


def test_next_call_is_a_trial_when_the_trial_was_turned_away(peer):
    peer.fail()
    peer.now += 30
    assert peer.call(reply=Reply(status=401)).status == 401
    assert peer.state is BreakerState.HALF_OPEN
    assert peer.call(reply=OK) is OK
    assert peer.state is BreakerState.CLOSED


def test_failures_far_apart_do_not_open_the_breaker(peer):
    for _ in range(10):
        peer.fail(1)
        peer.now += 16  # five failures span 64 s, which is longer than the window of 60 s
    assert peer.state is BreakerState.CLOSED


def test_each_participant_has_its_own_breaker(peer):
    peer.fail()
    assert peer.call("client", OK) is OK


def test_successful_trial_call_closes_the_breaker(peer):
    peer.fail()
    peer.now += 30
    assert peer.state is BreakerState.HALF_OPEN
    assert peer.call(reply=OK) is OK
    assert peer.state is BreakerState.CLOSED


def test_failed_trial_call_opens_the_breaker_again(peer):
    peer.fail()
    peer.now += 30
    peer.call(reply=BROKEN)
    peer.now += 29
    assert (peer.state, peer.sent) == (BreakerState.OPEN, 6)
    assert not peer.call(reply=OK).sent


def test_breaker_allows_no_second_call_during_the_trial(peer):
    peer.fail()
    peer.now += 30
    others = []
    peer.during = lambda: others.append(peer.guarded.send(_another()))
    peer.call(reply=OK)
    (other,) = others
    assert (other.sent, other.retry_after_s, peer.sent) == (False, 5.0, 6)


def test_only_one_of_many_simultaneous_calls_is_the_trial(peer):
    peer.fail()
    peer.now += 30
    gate, release = threading.Barrier(8), threading.Event()
    peer.during = release.wait

    def ask():
        gate.wait()
        replies.append(peer.call())

    replies, peer.reply = [], OK
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(replies) < 7:
        pass
    release.set()
    for thread in threads:
        thread.join()
    assert [reply.sent for reply in replies].count(True) == 1


def test_trial_call_without_an_end_does_not_block_the_breaker(peer):
    peer.fail()
    peer.now += 30
    peer.during = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        peer.call()
    peer.during, peer.now = lambda: None, peer.now + 5
    assert peer.call(reply=OK) is OK


def test_call_that_a_person_sends_now_is_a_trial_call(peer):
    peer.fail()
    others = []
    peer.during = lambda: others.append(peer.guarded.send(_another()))
    assert peer.call(reply=OK, sent_now=True) is OK
    (other,) = others
    assert (other.sent, other.retry_after_s, peer.state) == (False, 30.0, BreakerState.CLOSED)


@pytest.mark.parametrize(("reply", "left_s"), [(BROKEN, 30.0), (GONE, 30.0), (Reply(status=401), 10.0)])
def test_call_that_a_person_sends_now_in_vain_lets_no_other_call_through(peer, reply, left_s):
    peer.fail()
    peer.now += 20
    peer.call(reply=reply, sent_now=True)
    assert (peer.state, peer.sent) == (BreakerState.OPEN, 6)
    assert peer.call(reply=OK).retry_after_s == left_s


def test_call_that_a_person_sends_now_does_not_wait_for_the_trial_of_another_process(peer, monkeypatch):
    peer.fail()
    monkeypatch.setattr(SharedCache, "lock", lambda *_: False)
    assert peer.call(reply=OK, sent_now=True) is OK


def test_others_wait_while_a_call_that_a_person_sends_now_lasts_longer_than_the_breaker_is_open(peer):
    peer.fail()
    peer.now += 29
    others = []

    def during():
        peer.now += 2
        others.append(peer.guarded.send(_another()))

    peer.during = during
    peer.call(reply=OK, sent_now=True)
    assert [(other.sent, other.retry_after_s) for other in others] == [(False, 3.0)]


def _another():
    return Request(participant="stock", method="POST", url="http://stock/", headers={}, body={}, timeout_s=5.0)
