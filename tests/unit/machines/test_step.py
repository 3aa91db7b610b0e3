import pytest

from machines.step import PERSISTENT, Retry
from tests.unit.machines.tables import hold, look, sell, tell


def test_the_wait_grows_with_each_attempt_up_to_its_cap():
    retry = Retry(base_s=1.0, factor=2.0, cap_s=5.0)
    assert [retry.longest_wait_s(attempt) for attempt in (1, 2, 3, 4, 5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_wait_stays_at_its_cap_however_often_it_was_tried():
    assert Retry(cap_s=60.0).longest_wait_s(10_000) == 60.0


@pytest.mark.parametrize("step", [look, hold, sell])
def test_a_step_is_sent_three_times_unless_it_says_otherwise(step):
    assert step().retry == Retry(attempts=4, base_s=1.0, factor=2.0)
    assert step(retry=Retry(attempts=5)).retry.attempts == 5


def test_a_retriable_is_sent_for_long_unless_it_says_otherwise():
    assert tell().retry == PERSISTENT
    assert tell(retry=Retry(attempts=5)).retry.attempts == 5


def test_the_state_of_an_undo_is_named_after_its_step_unless_the_step_names_it():
    assert hold("reserve").undoing == "UNDOING_RESERVE"
    assert hold("reserve", undoing="RELEASING").undoing == "RELEASING"
