"""Deferred entries are processed in order and once each, from any thread and also at the end of the process."""

import queue
import threading

import pytest

from app.telemetry.deferred import Deferred


class Stopping:
    """Stands in for the event `stopping`. Each `wait` returns when the test calls `let`, and returns `end`."""

    def __init__(self):
        self.ends, self.waiting = queue.Queue(), threading.Semaphore(0)

    def wait(self, _seconds):
        self.waiting.release()
        return self.ends.get(timeout=5)

    def let(self, *, end):
        self.waiting.acquire(timeout=5)
        self.ends.put(end)


@pytest.fixture
def done():
    return []


@pytest.fixture
def stopping():
    stopping = Stopping()
    yield stopping
    stopping.ends.put(True)


@pytest.fixture
def deferred(stopping):
    """Return a started `Deferred`. A thread processes its entries later."""
    deferred = Deferred()
    deferred.start(stopping)
    return deferred


def test_entry_is_processed_at_once_before_the_start(done):
    Deferred().add(done.append, 1)
    assert done == [1]


def test_entries_are_processed_later_in_order_after_the_start(deferred, stopping, done):
    for number in range(100):
        deferred.add(done.append, number)
    assert done == []
    stopping.let(end=False)
    stopping.waiting.acquire(timeout=5)  # the thread waits again, so it has processed the entries
    assert done == list(range(100))


def test_flush_processes_all_entries(deferred, done):
    deferred.add(done.append, 1)
    deferred.flush()
    assert done == [1]


def test_entries_are_processed_at_once_after_the_end(deferred, stopping, done):
    deferred.add(done.append, 1)
    stopping.let(end=True)
    deferred.join()
    assert done == [1]
    deferred.add(done.append, 2)
    assert done == [1, 2]


def test_failing_entry_does_not_stop_the_others(deferred, stopping, done, capsys):
    def broken():
        raise RuntimeError("broken")

    deferred.add(done.append, 1)
    deferred.add(broken)
    deferred.add(done.append, 2)
    stopping.let(end=True)
    deferred.join()
    assert done == [1, 2]
    assert "note.lost" in capsys.readouterr().out


def test_entries_of_many_threads_are_processed_once_each(stopping, done):
    deferred = Deferred()
    deferred.start(stopping)
    threads = [threading.Thread(target=lambda: [deferred.add(done.append, n) for n in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        deferred.flush()
    for thread in threads:
        thread.join()
    deferred.flush()
    assert sorted(done) == sorted(list(range(500)) * 8)
