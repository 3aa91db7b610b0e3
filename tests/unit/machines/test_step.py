import pytest

from machines.retry import PERSISTENT, Retry
from tests.unit.machines.tables import hold, look, sell, tell


def test_wait_grows_with_each_attempt_up_to_its_cap():
    retry = Retry(base_s=1.0, factor=2.0, cap_s=5.0)
    assert [retry.longest_wait_s(number) for number in (1, 2, 3, 4, 5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_wait_stays_at_its_cap_after_many_attempts():
    assert Retry(cap_s=60.0).longest_wait_s(10_000) == 60.0


@pytest.mark.parametrize("step", [look, hold, sell])
def test_step_has_three_attempts_by_default(step):
    assert step().retry == Retry(attempts=4, base_s=1.0, factor=2.0)
    assert step(retry=Retry(attempts=5)).retry.attempts == 5


def test_retriable_step_has_many_attempts_by_default():
    assert tell().retry == PERSISTENT
    assert tell(retry=Retry(attempts=5)).retry.attempts == 5


def test_state_of_an_undo_has_a_default_name():
    assert hold("reserve").undoing == "UNDOING_RESERVE"
    assert hold("reserve", undoing="RELEASING").undoing == "RELEASING"
