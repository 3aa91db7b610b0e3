import pytest

from machines.call import get, post
from machines.outcomes import Outcome
from machines.replies import Reply, explained, outcome_of, setting_of, settings_of

SUCCEEDED, REFUSED, IN_DOUBT, NOT_SENT = Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.IN_DOUBT, Outcome.NOT_SENT
STOCK = post("stock", "/reserve")

#: Outcome → the statuses that have this outcome when the body is a JSON object.
WITH_JSON = {
    SUCCEEDED: [*range(200, 202), *range(203, 300)],
    REFUSED: [
        400, 402, 404, 409, 410, 411, 412, 413, 416, 417, 418, 419, 420, 422, 423, 424, 426, 427, 428, 430,
        *range(432, 500),
    ],
    NOT_SENT: [301, 307, 308, 401, 403, 405, 406, 407, 414, 415, 421, 429, 431],
    IN_DOUBT: [
        *range(100, 200), 202, 300, 302, 303, 304, 305, 306, *range(309, 400), 408, 425, *range(500, 600),
    ],
}  # fmt: skip
#: Status → outcome, where it differs because the body cannot be parsed.
WITHOUT = {**dict.fromkeys(WITH_JSON[SUCCEEDED], IN_DOUBT), 404: NOT_SENT}
EXPECTED = {status: outcome for outcome, statuses in WITH_JSON.items() for status in statuses}


def test_the_table_has_every_status_once():
    assert sorted(EXPECTED) == list(range(100, 600)) == sorted(s for statuses in WITH_JSON.values() for s in statuses)


@pytest.mark.parametrize("status", range(100, 600))
def test_a_status_means_what_the_table_says(status):
    assert outcome_of(Reply(status=status, body={"a": 1})) is EXPECTED[status]
    without = WITHOUT.get(status, EXPECTED[status])
    assert outcome_of(Reply(status=status, body=None)) is without


def test_404_without_a_body_is_not_sent_and_204_succeeds():
    assert outcome_of(Reply(status=404, body={}, blank=True)) is NOT_SENT
    assert outcome_of(Reply(status=404, body={})) is REFUSED
    assert outcome_of(Reply(status=204, body={}, blank=True)) is SUCCEEDED


def test_404_of_kong_without_a_route_is_not_sent():
    reply = Reply(status=404, body={"message": "no Route matched with those values", "request_id": "5e1f"})
    assert outcome_of(reply) is NOT_SENT
    says = explained(reply, {}, STOCK).reason
    assert says == "404 no Route matched with those values; check PARTICIPANT_STOCK_URL"
    assert outcome_of(Reply(status=404, body={"message": "no such product"})) is REFUSED


def test_a_success_without_a_needed_field_is_in_doubt():
    assert outcome_of(Reply(status=200, body={"b": 1}), {"a": ""}) is IN_DOUBT


def test_outcome_of_lost_unsent_and_impossible_calls():
    assert outcome_of(Reply(error="lost")) is IN_DOUBT
    assert outcome_of(Reply(error="no connection", sent=False)) is NOT_SENT
    assert outcome_of(Reply(error="no path", sent=False, impossible=True)) is REFUSED


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=402, body={"title": "No", "detail": "the balance lacks 5"}), "402 the balance lacks 5"),
        (Reply(status=404, body={"error": "unknown"}), "404 unknown"),
        (Reply(status=409, body={"value": "no seat"}, scalar=True), "409 no seat"),
        (Reply(status=409, body=["no seat"]), "409"),
        (Reply(status=503), "503"),
        (Reply(error="no answer within 5 s"), "no answer within 5 s"),
        (Reply(status=409, body={"detail": "z" * 900_000}), "409 " + "z" * 495 + "…"),
        (Reply(status=409, body={"detail": "no\r\n\x1b[31m\u202e"}), "409 no \ufffd[31m\ufffd"),
        (Reply(status=409, body={"detail": [{"loc": "amount"}]}), '409 [{"loc":"amount"}]'),
        (Reply(status=422, body={"error": {"code": 7, "ok": None}}), '422 {"code":7,"ok":null}'),
    ],
)
def test_reason_is_one_line_of_the_reply(reply, reason):
    assert reply.reason == reason
    assert explained(reply, {}, STOCK).reason == reason


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=200, body={}), "200, but without the field id"),
        (Reply(status=201, body={"id": 1}), "201, but without the field ref"),
        (Reply(status=200, body={"x": 1}), "200, but without the fields id, ref"),
        (Reply(status=200), "200, but its body is no JSON object"),
        (Reply(status=200, unreadable="text/plain is no JSON object"), "200, but text/plain is no JSON object"),
        (Reply(status=202, body={"id": 1, "ref": 2}), "202, but accepted does not say that it is done"),
    ],
)
def test_reason_says_why_a_success_is_in_doubt(reply, reason):
    needed = {"id"} if reply.body == {} else {"id", "ref"}
    lacking = {name: "" for name in needed if name not in (reply.body or {})}
    assert explained(reply, lacking, STOCK).reason == reason


def test_reason_says_why_a_field_cannot_be_used():
    reply = Reply(status=200, body={"id": None, "ref": []})
    lacking = {"id": "id is null, which is no part of a path", "ref": "ref is a list, which is no part of a path"}
    assert outcome_of(reply, lacking) is IN_DOUBT
    assert explained(reply, lacking, STOCK).reason == f"200, but {lacking['id']}; {lacking['ref']}"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=401, body={"detail": "no key"}), "401 no key; check PARTICIPANTS_API_KEY"),
        (Reply(status=403), "403; check PARTICIPANTS_API_KEY"),
        (Reply(status=404), "404 without a JSON body; check PARTICIPANT_STOCK_URL"),
        (Reply(status=404, body={}, blank=True), "404 without a JSON body; check PARTICIPANT_STOCK_URL"),
        (Reply(status=404, body={"value": "Not found"}, scalar=True), "404 Not found; check PARTICIPANT_STOCK_URL"),
        (Reply(status=308), "308; check PARTICIPANT_STOCK_URL"),
        (Reply(status=407), "407; check PARTICIPANT_STOCK_PROXY"),
        (Reply(status=429), "429; check THREADS"),
    ],
)
def test_the_reason_names_the_setting_to_check(reply, reason):
    assert explained(reply, {}, STOCK).reason == reason
    assert setting_of(reply, "stock") in settings_of("stock")


@pytest.mark.parametrize("status", WITH_JSON[NOT_SENT])
def test_exactly_the_statuses_of_a_gateway_have_a_setting(status):
    assert setting_of(Reply(status=status, body={"a": 1}), "stock") in settings_of("stock")


def test_a_refusal_and_an_answer_in_doubt_name_no_setting():
    assert {setting_of(Reply(status=s, body={"a": 1}), "x") for s in (200, 404, 409, 500)} == {""}
    assert not setting_of(Reply(error="lost"), "x")


@pytest.mark.parametrize(
    ("reply", "waits"),
    [
        (Reply(status=503, retry_after_s=0.0), True),
        (Reply(status=503), False),
        (Reply(status=500, retry_after_s=5.0), False),
        (Reply(status=429, retry_after_s=5.0), False),
    ],
)
def test_only_503_with_retry_after_counts_no_attempt(reply, waits):
    assert reply.asks_to_wait is waits


@pytest.mark.parametrize(("reply", "outcome"), [
    (Reply(status=200, body=[]), REFUSED), (Reply(status=200, body=[{"id": None}]), REFUSED),
    (Reply(status=200, body=[{"id": 7}]), SUCCEEDED), (Reply(status=500, body={"error": "x"}), IN_DOUBT),
    (Reply(status=401, body={"error": "x"}), NOT_SENT), (Reply(status=200, body=None), IN_DOUBT),
])  # fmt: skip
def test_a_missing_field_has_its_meaning_only_in_a_success(reply, outcome):
    search = get("stock", "/reservations", means={"0.id": {None: REFUSED}})
    assert outcome_of(reply, call=search) is outcome
