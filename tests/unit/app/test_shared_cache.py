"""When Redis does not answer, the cache contains nothing, and no caller waits."""

import time

import pytest

from app.shared_cache import SharedCache
from tests.support.unresponsive_server import UnresponsiveServer

SECRET = "s" * 40
QUESTIONS = {
    "get": (lambda cache: cache.get("key"), None),
    "put": (lambda cache: cache.put("key", b"value", 10.0), None),
    "drop": (lambda cache: cache.drop("key", "other"), None),
    "lock": (lambda cache: cache.lock("key", 10.0), None),
    "expiries_s": (lambda cache: cache.expiries_s(["key", "other"]), {}),
}


@pytest.fixture
def silent():
    with UnresponsiveServer() as server:
        yield server


@pytest.fixture(params=QUESTIONS)
def question(request):
    return QUESTIONS[request.param]


def test_cache_is_empty_without_a_url(question):
    ask, unknown = question
    assert ask(SharedCache(None, None)) == unknown


def test_cache_is_empty_without_a_server(question):
    ask, unknown = question
    assert ask(SharedCache("redis://127.0.0.1:9", SECRET)) == unknown


def test_callers_do_not_wait_for_a_silent_redis(question, silent):
    ask, unknown = question
    began = time.monotonic()
    assert ask(SharedCache(f"redis://{silent.address}", SECRET)) == unknown
    assert time.monotonic() - began < 10


def test_silent_redis_is_not_used_for_a_while(silent):
    cache = SharedCache(f"redis://{silent.address}", SECRET)
    for ask, unknown in list(QUESTIONS.values()) * 20:
        assert ask(cache) == unknown
    assert silent.asked == 1


def test_redis_is_not_queried_for_no_keys(silent):
    assert SharedCache(f"redis://{silent.address}", SECRET).expiries_s([]) == {}
    assert silent.asked == 0
