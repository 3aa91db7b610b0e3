"""A request whose body does not arrive leaves nothing in the memory."""

import gc
import weakref

import pytest

from app.serving.bodies import AwaitedBodies, BodyReadAhead


class Future:
    """Refers to its error and its callback as granian's future does, which the garbage collector cannot see."""

    def __init__(self, error):
        self._error, self._callback = error, None

    def add_done_callback(self, callback):
        self._callback = callback

    def cancel(self):
        self._error = None
        self.end()

    def cancelled(self):
        return self._error is None

    def result(self):
        raise self._error

    def end(self):
        self._callback(self)


class Exchange:
    def __init__(self, future):
        self._futures = [future]

    def __call__(self):
        return self._futures.pop()

    def response_bytes(self, *_answer):
        pass


@pytest.mark.parametrize("end", [Future.end, Future.cancel])
def test_a_lost_body_is_freed_without_the_garbage_collector(end):
    future, bodies = Future(RuntimeError("the client is gone")), AwaitedBodies(1)
    BodyReadAhead(Exchange(future), {}, lambda *_: None, bodies).start()
    freed = weakref.ref(future)
    gc.disable()
    try:
        end(future)
        del future
        assert freed() is None
    finally:
        gc.enable()
