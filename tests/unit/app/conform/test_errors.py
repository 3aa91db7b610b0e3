"""A 2xx with a field of errors counts as done, and `saga conform` says so."""

import pytest

from app.calls.request import Request
from app.conform.expecting import expect_no_error
from app.conform.lines import Exchange, NotKeptError
from machines import REFUSED, SUCCEEDED, integer, post, text
from machines.outcomes import Outcome
from machines.replies import Reply, outcome_of

REQUEST = Request(participant="shop", method="POST", url="http://127.0.0.1/sales", headers={}, body={}, timeout_s=1.0)
NO_MONEY = {"error": "NO_MONEY"}


def expect(body, *, status=200, **columns):
    call, reply = post("shop", "/sales", **columns), Reply(status=status, body=body)
    made = Exchange(what="call", request=REQUEST, reply=reply, outcome=outcome_of(reply, call=call))
    expect_no_error(made, call, "the call")


@pytest.mark.parametrize(
    ("body", "columns", "name"),
    [
        (NO_MONEY, {}, 'error "NO_MONEY"'),
        ({"errors": ["a"]}, {"status": 201}, 'errors ["a"]'),
        ({"problem": {"code": 7}}, {}, 'problem {"code":7}'),
        (NO_MONEY, {"means": {"error": {"CLOSED": REFUSED}}}, 'error "NO_MONEY"'),
        ({"error": {"code": 7}}, {"means": {"error.code": {"exists": SUCCEEDED}}}, "error.code 7"),
        ({"reason": "none left"}, {"means": {"reason": {"in_progress": SUCCEEDED}}}, 'reason "none left"'),
    ],
)
def test_field_of_errors_in_a_success_is_not_kept(body, columns, name):
    with pytest.raises(NotKeptError) as caught:
        expect(body, **columns)
    assert f"and {name}, which counts as done; if it is an error, write means=" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "columns"),
    [
        ({"id": 7, "detail": "booked", "reason": "asked for"}, {}),
        ({"error": None, "errors": [], "problem": ""}, {}),
        (NO_MONEY, {"status": 409}),
        (NO_MONEY, {"status": 409, "means": {409: SUCCEEDED}}),
        (NO_MONEY, {"means": {"error": {"NO_MONEY": REFUSED}}}),
        ({"error": "exists"}, {"means": {"error": {"exists": SUCCEEDED}}}),
        ({"error": 0.5}, {"keeps": {"error": integer()}}),
        ([1], {"means": {"error": {"exists": SUCCEEDED}}}),
        ({"error": "exists"}, {"status": 409, "means": {"error": {"exists": SUCCEEDED}}}),
        ({"id": 7, "reason": "asked for"}, {"keeps": {"reason": text()}}),
    ],
)
def test_reply_without_a_further_error_is_kept(body, columns):
    expect(body, **columns)


def test_reply_to_a_call_in_doubt_says_nothing():
    reply = Reply(status=202, body=NO_MONEY)
    expect_no_error(
        Exchange(what="call", request=REQUEST, reply=reply, outcome=Outcome.IN_DOUBT), post("shop", "/sales"), "it"
    )
