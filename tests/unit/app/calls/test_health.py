"""What a process reports of a participant: its calls of the last minute, and the last error."""

from app.breaker import Breaker, BreakerPolicy
from app.calls.client import Request
from app.calls.health import RecordingSender
from machines.replies import Reply

OK = Reply(status=200, body={}, duration_ms=10.0)
BROKEN = Reply(status=503, body={"detail": "card 4711 of Ada"}, duration_ms=5000.0)


class Peer:
    """A participant, called through the recorder. The test sets its reply and the time."""

    def __init__(self):
        self.now, self.reply = 100.0, OK
        self.recorder = RecordingSender(self, ["stock"], lambda: self.now)
        policy = BreakerPolicy(failures=1, open_s=30, window_s=60)
        self.breaker = Breaker(policy, lambda: self.now)

    def send(self, _request):
        return self.reply

    def call(self, *replies):
        for self.reply in replies:
            request = Request(participant="stock", method="GET", url="http://s/", headers={}, body=None, timeout_s=1)
            self.recorder.send(request)

    def report(self):
        return self.recorder.reports({"stock": self.breaker}).get("stock")


def test_nothing_is_reported_of_a_participant_that_was_not_called():
    assert Peer().report() is None


def test_calls_and_failures_of_the_last_minute_are_counted():
    peer = Peer()
    peer.call(*[OK] * 18, BROKEN, BROKEN)
    report = peer.report()
    assert (report["calls"], report["failed"], report["p95_ms"]) == (20, 2, 5000.0)
    peer.now += 59
    peer.call(OK)
    assert peer.report()["calls"] == 21
    peer.now += 2
    report = peer.report()
    assert (report["calls"], report["failed"], report["p95_ms"]) == (1, 0, 10.0)


def test_last_error_says_the_status_and_nothing_of_what_the_participant_wrote():
    peer = Peer()
    peer.call(BROKEN, OK)
    peer.now += 90
    report = peer.report()
    assert (report["error"], report["error_age_s"]) == ("503 Service Unavailable", 90.0)


def test_refusal_of_the_participant_itself_is_no_error_but_a_refused_credential_is():
    peer = Peer()
    peer.call(Reply(status=409, body={"error": "sold out"}))
    assert (peer.report()["failed"], peer.report()["error"]) == (0, None)
    peer.call(Reply(status=401, body={}))
    assert (peer.report()["failed"], peer.report()["error"]) == (1, "401 Unauthorized")


def test_lost_and_unsent_calls_are_errors_in_our_own_words():
    peer = Peer()
    peer.call(Reply(error="no answer within 5 s"))
    assert peer.report()["error"] == "no answer within 5 s"
    peer.call(Reply(error="no connection could be made: refused", sent=False))
    assert peer.report()["error"] == "no connection could be made: refused"
    peer.call(Reply(error="a header", sent=False, impossible=True))
    assert peer.report()["failed"] == 2, "a call that cannot be built says nothing about the participant"


def test_open_breaker_is_reported_since_it_opened_and_with_its_next_try():
    peer = Peer()
    peer.breaker.failed()
    peer.now += 10
    report = peer.report()
    assert (report["breaker"], report["open_for_s"], report["next_try_s"]) == ("open", 10.0, 20.0)
    peer.now += 25
    report = peer.report()
    assert (report["breaker"], report["open_for_s"], report["next_try_s"]) == ("half open", 35.0, 0.0)
    peer.breaker.failed()
    peer.now += 1
    assert peer.report()["open_for_s"] == 36.0, "it has not worked since it opened for the first time"
    peer.breaker.succeeded()
    assert peer.report() is None
