import pytest

from app.participants.outcome import Outcome, Reply, outcome_of

REFUSED = [400, 401, 402, 403, 404, 409, 410, 412, 422]
UNKNOWN = [100, 199, 300, 301, 302, 307, 308, 405, 406, 408, 418, 425, 429, 500, 501, 502, 503, 504, 599]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_that_is_understood_succeeded(status):
    assert outcome_of(Reply(status=status, body={"a": 1}), frozenset({"a"})) is Outcome.SUCCEEDED


@pytest.mark.parametrize("status", REFUSED)
def test_these_statuses_say_that_it_did_not_happen(status):
    assert outcome_of(Reply(status=status, body=None), frozenset({"a"})) is Outcome.REFUSED


@pytest.mark.parametrize("status", UNKNOWN)
def test_every_other_status_leaves_it_open(status):
    assert outcome_of(Reply(status=status, body={"a": 1}), frozenset()) is Outcome.UNKNOWN


def test_a_success_that_is_not_understood_is_unknown():
    assert outcome_of(Reply(status=200, body=None), frozenset()) is Outcome.UNKNOWN
    assert outcome_of(Reply(status=200, body={"b": 1}), frozenset({"a"})) is Outcome.UNKNOWN


def test_a_lost_answer_is_unknown_and_an_unsent_call_is_not():
    assert outcome_of(Reply(error="lost"), frozenset()) is Outcome.UNKNOWN
    assert outcome_of(Reply(error="no connection", sent=False), frozenset()) is Outcome.NOT_SENT


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=402, body={"title": "No", "detail": "the balance lacks 5"}), "402 the balance lacks 5"),
        (Reply(status=404, body={"error": "unknown"}), "404 unknown"),
        (Reply(status=503), "503"),
        (Reply(status=200, unreadable="text/plain is no JSON object"), "200, but text/plain is no JSON object"),
        (Reply(error="no answer within 5 s"), "no answer within 5 s"),
        (Reply(status=409, body={"detail": "z" * 900_000}), "409 " + "z" * 495 + "…"),
        (Reply(status=409, body={"detail": "no\r\n\x1b[31m\u202e"}), "409 no \ufffd[31m\ufffd"),
        (Reply(status=409, body={"detail": [{"loc": "amount"}]}), "409 [{'loc': 'amount'}]"),
    ],
)
def test_the_reason_is_one_line_of_what_was_said(reply, reason):
    assert reply.reason == reason
