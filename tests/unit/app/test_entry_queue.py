"""Queued entries are processed in order and once each.

This holds for entries from any thread, and at the end of the process.
"""

import threading
from queue import Queue

import pytest

from app.telemetry.entry_queue import EntryQueue


class Stopping:
    """Stands in for the event `stopping`. A call of `wait` ends when the test calls `let`, and returns `end`."""

    def __init__(self):
        self.ends, self.waiting = Queue(), threading.Semaphore(0)

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
def queue(stopping):
    """Return a started `EntryQueue`. A thread processes its entries later."""
    queue = EntryQueue()
    queue.start(stopping)
    return queue


def test_entry_is_processed_at_once_before_the_start(done):
    EntryQueue().add(done.append, 1)
    assert done == [1]


def test_entries_are_processed_later_in_order_after_the_start(queue, stopping, done):
    for number in range(100):
        queue.add(done.append, number)
    assert done == []
    stopping.let(end=False)
    stopping.waiting.acquire(timeout=5)  # the thread waits again, so the thread has processed the entries
    assert done == list(range(100))


def test_flush_processes_all_entries(queue, done):
    queue.add(done.append, 1)
    queue.flush()
    assert done == [1]


def test_entries_are_processed_at_once_after_the_end(queue, stopping, done):
    queue.add(done.append, 1)
    stopping.let(end=True)
    queue.join()
    assert done == [1]
    queue.add(done.append, 2)
    assert done == [1, 2]


def test_failing_entry_does_not_stop_the_others(queue, stopping, done, capsys):
    def broken():
        raise RuntimeError("broken")

    queue.add(done.append, 1)
    queue.add(broken)
    queue.add(done.append, 2)
    stopping.let(end=True)
    queue.join()
    assert done == [1, 2]
    assert "note.lost" in capsys.readouterr().out


def test_entries_of_many_threads_are_processed_once_each(stopping, done):
    queue = EntryQueue()
    queue.start(stopping)
    threads = [threading.Thread(target=lambda: [queue.add(done.append, n) for n in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        queue.flush()
    for thread in threads:
        thread.join()
    queue.flush()
    assert sorted(done) == sorted(list(range(500)) * 8)
