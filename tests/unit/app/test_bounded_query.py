"""Asking a database that may hang."""

import threading

import pytest

from app.store.database_health import Bounded, NoAnswerError


def test_the_answer_is_passed_on():
    assert Bounded(lambda: 42)() == 42


def test_an_error_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        Bounded(lambda: 1 / 0)()


def test_a_timeout_of_the_database_itself_is_passed_on():
    def ask():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        Bounded(ask)()


def test_nobody_waits_for_longer_than_the_patience_and_nobody_asks_twice_at_once():
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
