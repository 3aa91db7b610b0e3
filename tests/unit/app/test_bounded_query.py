"""A query has a time limit, because the database may hang."""

import threading

import pytest

from app.store.database_health import Bounded, NoAnswerError


def test_result_is_returned():
    assert Bounded(lambda: 42)() == 42


def test_error_is_raised():
    with pytest.raises(ZeroDivisionError):
        Bounded(lambda: 1 / 0)()


def test_timeout_of_the_database_is_raised():
    def ask():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        Bounded(ask)()


def test_callers_wait_for_a_limited_time_and_share_one_query():
    asked, answered = [], threading.Event()

    def ask():
        asked.append(True)
        answered.wait()
        return "late"

    bounded = Bounded(ask, wait_s=0.01)
    for _ in range(3):
        with pytest.raises(NoAnswerError, match=r"has not answered within 0\.01 s"):
            bounded()
    assert len(asked) == 1
    answered.set()
