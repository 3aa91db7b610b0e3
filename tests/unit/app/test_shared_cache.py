"""Whatever becomes of Redis, each question has its answer: it is not known."""

import time

import pytest

from app.shared_cache import SharedCache
from tests.support.unresponsive_server import UnresponsiveServer

QUESTIONS = {
    "get": (lambda fleeting: fleeting.get("key"), None),
    "put": (lambda fleeting: fleeting.put("key", b"value", 10.0), None),
    "drop": (lambda fleeting: fleeting.drop("key", "other"), None),
    "lock": (lambda fleeting: fleeting.lock("key", 10.0), None),
    "expiries_s": (lambda fleeting: fleeting.expiries_s(["key", "other"]), {}),
}


@pytest.fixture
def silent():
    with UnresponsiveServer() as server:
        yield server


@pytest.fixture(params=QUESTIONS)
def question(request):
    return QUESTIONS[request.param]


def test_without_a_url_nothing_is_known(question):
    ask, unknown = question
    assert ask(SharedCache(None)) == unknown


def test_of_a_redis_that_is_not_there_nothing_is_known(question):
    ask, unknown = question
    assert ask(SharedCache("redis://127.0.0.1:9")) == unknown


def test_one_that_does_not_answer_is_not_waited_for(question, silent):
    ask, unknown = question
    began = time.monotonic()
    assert ask(SharedCache(f"redis://{silent.address}")) == unknown
    assert time.monotonic() - began < 10


def test_one_that_does_not_answer_is_left_in_peace(silent):
    fleeting = SharedCache(f"redis://{silent.address}")
    for ask, unknown in list(QUESTIONS.values()) * 20:
        assert ask(fleeting) == unknown
    assert silent.asked == 1


def test_nothing_is_asked_about_no_keys(silent):
    assert SharedCache(f"redis://{silent.address}").expiries_s([]) == {}
    assert silent.asked == 0
