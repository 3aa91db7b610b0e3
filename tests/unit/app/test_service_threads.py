"""A service thread continues after any error, and a thread that does not work is reported by its name."""

import threading

import pytest

from app import service_threads
from app.service_threads import FAILING_FOR_S, STALLED_AFTER_S, ServiceThreads


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stopping():
    return threading.Event()


@pytest.fixture(autouse=True)
def _short_back_off(monkeypatch):
    monkeypatch.setattr(service_threads, "BACK_OFF_S", 0.001)


def started(threads, work, stopping, **options):
    thread = threads.add("intake", work, stopping, **options)
    thread.start()
    return thread


def test_work_starts_again_after_an_error(clock, stopping):
    threads, turns, done = ServiceThreads(clock), [], threading.Event()

    def work(progressed):
        turns.append(1)
        if len(turns) < 4:
            raise KeyError("no such header")
        progressed()
        done.set()
        stopping.wait(10)

    thread = started(threads, work, stopping)
    assert done.wait(60)
    clock.now += FAILING_FOR_S + 1
    assert threads.failure is None
    assert threads.alive == {"intake": True}
    stopping.set()
    thread.join()


def test_thread_that_keeps_failing_counts_as_dead(clock, stopping):
    threads, failed = ServiceThreads(clock), threading.Semaphore(0)

    def work(_progressed):
        failed.release()
        raise ValueError("not JSON\nsecond line")

    thread = started(threads, work, stopping)
    for _ in range(2):
        assert failed.acquire(timeout=10)
    assert threads.failure is None  # it has failed for less than FAILING_FOR_S, so it still counts as alive
    clock.now += FAILING_FOR_S + 1
    assert threads.failure == "the thread intake: it keeps failing: ValueError: not JSON"
    assert threads.alive == {"intake": False}
    stopping.set()
    thread.join()


@pytest.mark.parametrize(("stalls", "alive"), [(True, False), (False, True)])
def test_thread_without_progress_counts_as_dead(clock, stopping, stalls, alive):
    threads = ServiceThreads(clock)
    thread = started(threads, lambda _progressed: stopping.wait(10), stopping, stalls=stalls)
    clock.now += STALLED_AFTER_S + 1
    assert threads.alive == {"intake": alive}
    stopping.set()
    thread.join()


def test_thread_that_ended_early_counts_as_dead_until_the_process_stops(clock, stopping):
    threads = ServiceThreads(clock)
    started(threads, lambda _progressed: None, stopping).join()
    assert threads.failure == "the thread intake: it has ended"
    stopping.set()
    assert threads.failure is None


def test_failing_work_has_a_last_turn_when_the_process_stops(clock, stopping):
    threads, closed = ServiceThreads(clock), []

    def work(_progressed):
        if not stopping.is_set():
            stopping.set()
            raise OSError("gone")
        closed.append(True)

    started(threads, work, stopping).join()
    assert closed == [True]


def test_thread_that_was_not_started_counts_as_working(clock, stopping):
    threads = ServiceThreads(clock)
    threads.add("relay", lambda _progressed: None, stopping)
    assert threads.failure is None


def test_threads_report_about_once_a_second(clock, stopping):
    threads, reports = ServiceThreads(clock), []
    threads.report = lambda: reports.append(clock.now)
    first, second = (threads.add(name, lambda _progressed: None, stopping) for name in ("relay", "intake"))
    for thread in (first, second, first):
        thread.progressed()
    clock.now += 1.0
    second.progressed()
    assert reports == [1000.0, 1001.0]
