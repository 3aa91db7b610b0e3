"""Notes are told in order, none twice and none never, whoever makes them and whenever the process ends."""

import queue
import threading

import pytest

from app.telemetry.deferred import Notes


class Stopping:
    """Stands for the event: each wait ends when the test says with what."""

    def __init__(self):
        self.ends, self.waiting = queue.Queue(), threading.Semaphore(0)

    def wait(self, _seconds):
        self.waiting.release()
        return self.ends.get(timeout=5)

    def let(self, *, end):
        self.waiting.acquire(timeout=5)
        self.ends.put(end)


@pytest.fixture
def told():
    return []


@pytest.fixture
def stopping():
    stopping = Stopping()
    yield stopping
    stopping.ends.put(True)


@pytest.fixture
def notes(stopping):
    """Some that are told later."""
    notes = Notes()
    notes.begin(stopping)
    return notes


def test_before_it_begins_a_note_is_told_at_once(told):
    Notes().note(told.append, 1)
    assert told == [1]


def test_then_it_is_told_later_in_order(notes, stopping, told):
    for number in range(100):
        notes.note(told.append, number)
    assert told == []
    stopping.let(end=False)
    stopping.waiting.acquire(timeout=5)  # the next wait has begun
    assert told == list(range(100))


def test_who_looks_sees_all_that_was_noted(notes, told):
    notes.note(told.append, 1)
    notes.settle()
    assert told == [1]


def test_at_the_end_what_is_left_is_told_and_what_comes_after_at_once(notes, stopping, told):
    notes.note(told.append, 1)
    stopping.let(end=True)
    notes.end()
    assert told == [1]
    notes.note(told.append, 2)
    assert told == [1, 2]


def test_one_that_cannot_be_told_keeps_no_other_from_it(notes, stopping, told, capsys):
    def broken():
        raise RuntimeError("broken")

    notes.note(told.append, 1)
    notes.note(broken)
    notes.note(told.append, 2)
    stopping.let(end=True)
    notes.end()
    assert told == [1, 2]
    assert "note.lost" in capsys.readouterr().out


def test_many_at_once_are_told_each_once(stopping, told):
    notes = Notes()
    notes.begin(stopping)
    threads = [threading.Thread(target=lambda: [notes.note(told.append, n) for n in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        notes.settle()
    for thread in threads:
        thread.join()
    notes.settle()
    assert sorted(told) == sorted(list(range(500)) * 8)
