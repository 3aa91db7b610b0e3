"""Limits of the calls to a participant."""

import threading
from concurrent.futures import ThreadPoolExecutor

from app.breaker import BreakerPolicy, BreakerState
from app.calls.breakers import GuardedSender
from app.calls.client import Request
from app.calls.limits import CROWDED_S, LimitedSender
from app.participant_settings.model import ParticipantSettings
from app.shared_cache import SharedCache
from machines.outcomes import Outcome
from machines.replies import Reply, outcome_of

OK = Reply(status=200, body={})


def ask(participant="flight"):
    return Request(participant=participant, method="POST", url="http://f/", headers={}, body={}, timeout_s=1)


class Sender:
    def __init__(self, during=lambda: None):
        self.during, self.sent = during, 0

    def send(self, _request):
        self.sent += 1
        self.during()
        return OK


def limited(sender, clock=lambda: 0.0, **settings):
    return LimitedSender(sender, {"flight": ParticipantSettings(url="", **settings)}, clock)


def test_call_over_the_concurrency_is_not_sent():
    inside, release = threading.Barrier(3), threading.Event()

    def during():
        inside.wait(5)
        release.wait(5)

    sender = Sender(during)
    both = limited(sender, concurrency=2)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(both.send, ask()) for _ in range(2)]
        inside.wait(5)
        over = both.send(ask())
        release.set()
        assert [each.result() for each in running] == [OK, OK]
    assert (over.sent, over.retry_after_s, sender.sent) == (False, CROWDED_S, 2)
    assert outcome_of(over) is Outcome.NOT_SENT
    assert over.error == "the limit of calls to flight is reached"


def test_place_is_free_again_when_a_call_raises():
    def fail():
        raise RuntimeError

    sender = Sender(fail)
    one = limited(sender, concurrency=1)
    for _ in range(2):
        try:
            one.send(ask())
        except RuntimeError:
            continue
    sender.during = lambda: None
    assert one.send(ask()) is OK


def test_call_over_the_rate_is_not_sent_before_the_period_is_over():
    now = [0.0]
    sender = Sender()
    twice = limited(sender, lambda: now[0], rate=(2, 10.0))
    assert twice.send(ask()) is OK
    now[0] = 4.0
    assert twice.send(ask()) is OK
    assert twice.send(ask()).retry_after_s == 6.0
    now[0] = 10.0
    assert twice.send(ask()) is OK
    assert twice.send(ask()).retry_after_s == 4.0
    assert sender.sent == 3


def test_limit_is_of_one_participant_only():
    sender = Sender()
    one = limited(sender, rate=(1, 10.0))
    assert [one.send(ask(name)).sent for name in ("flight", "hotel", "flight", "hotel")] == [True, True, False, True]


def test_call_held_back_is_no_failure_of_the_participant():
    class Withheld:
        def send(self, _request):
            return Reply(error="no access token", sent=False, withheld=True)

    guarded = GuardedSender(
        Withheld(),
        dict.fromkeys(["flight"]),
        BreakerPolicy(failures=2, open_s=30, window_s=60),
        SharedCache(None, None),
    )
    for _ in range(5):
        assert guarded.send(ask()).error == "no access token"
    assert guarded.states["flight"] is BreakerState.CLOSED
