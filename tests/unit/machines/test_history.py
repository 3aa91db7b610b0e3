"""What a journal says about the calls of a saga."""

import pytest

from machines.history import outcome_of_move
from machines.outcomes import Outcome

SUCCEEDED, REFUSED, IN_DOUBT, NOT_SENT = Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.IN_DOUBT, Outcome.NOT_SENT


@pytest.mark.parametrize(
    ("trigger", "status", "outcome"),
    [
        ("succeeded", 200, SUCCEEDED),
        ("refused", 409, REFUSED),
        ("refused_in_doubt", 409, IN_DOUBT),
        ("retry", 500, IN_DOUBT),
        ("retry", None, IN_DOUBT),
        ("exhausted", 202, IN_DOUBT),
        ("defer", None, NOT_SENT),
        ("defer", 401, NOT_SENT),
        ("defer", 404, NOT_SENT),
        ("defer", 503, IN_DOUBT),
        ("begin", None, None),
        ("start", None, None),
    ],
)
def test_a_move_records_the_outcome_of_its_call(trigger, status, outcome):
    assert outcome_of_move(trigger, status) is outcome


@pytest.mark.parametrize("trigger", ["retry", "exhausted"])
def test_a_call_that_is_sent_again_is_in_doubt_whatever_its_status(trigger):
    assert outcome_of_move(trigger, 409) is IN_DOUBT
    assert outcome_of_move("refused", 401) is REFUSED
    assert outcome_of_move("succeeded", 202) is SUCCEEDED
