"""The turns of the processes of one table. Each point is computed once, and processes that go on alike are one.

Two processes go on alike when they are at the same point, and whatever they learn next, they go on alike. So a probe
that was answered with 500 and one that got no answer are one, when the loop makes the same of both.
"""

from collections.abc import Hashable, Iterator
from typing import Any

from machines.verify.machinery import Machinery
from machines.verify.process import ModelLoop, Point, Send, Turn
from machines.verify.properties import Broken
from machines.verify.world import Answer, Memory, Process, Question, Save, Seen


class Turns:
    """The turns of the processes of one table. merged: processes that go on alike are one."""

    def __init__(self, machinery: Machinery, *, merged: bool = True) -> None:
        self._machinery, self._merged = machinery, merged
        self._points: dict[Process, Point] = {}
        self._next: dict[tuple[Process, Seen], Process | None] = {}
        self._numbers: dict[Hashable, int] = {}
        self._futures: dict[Process, int] = {}
        #: Number of a future → the process that stands for all with this future.
        self._first: dict[int, Process] = {}

    def point(self, process: Process) -> Point:
        """Return the next point of a process."""
        if process.saving:
            return process.saving[0]
        known = self._points.get(process)
        if known is None:
            known = self._points[process] = ModelLoop(self._machinery, process).point()
        return known

    def settled(self, process: Process, seen: Seen) -> Process | None:
        """Return the process at its next commit or request; None when it has released the saga."""
        known = (process, seen)
        if known not in self._next:
            found = self._settled(process, seen)
            self._next[known] = self._one_of_all(found) if found is not None and self._merged else found
        return self._next[known]

    def _settled(self, process: Process, seen: Seen) -> Process | None:
        while True:
            point = self.point(process)
            if isinstance(point, Question):
                process = process._replace(log=(*process.log, Answer(point, seen.answer(point))))
            elif isinstance(point, Turn):
                process = Process(point.memory)
            elif isinstance(point, Save):
                return process if point.goes_on or process.saving else self._saving(process, point)
            else:
                return process if isinstance(point, Send | Broken) else None

    def _saving(self, process: Process, point: Save) -> Process:
        """Return the process before the commits with which its turn may end."""
        stores = self.point(process._replace(patient=False)) if point.then else point
        assert isinstance(stores, Save)
        return Process(Memory(point.row.state), (), (point,) if stores == point else (point, stores))

    def _one_of_all(self, process: Process) -> Process:
        """Return the process that stands for all with the same future."""
        if process.saving or not any(isinstance(each, str) for each in process.log):
            return process
        return self._first.setdefault(self._future(process), process)

    def _future(self, process: Process) -> int:
        """Return a number that is the same for two processes that go on alike until the ends of their turns."""
        if process not in self._futures:
            future = self._future_of(process)
            self._futures[process] = self._numbers.setdefault(future, len(self._numbers))
        return self._futures[process]

    def _future_of(self, process: Process) -> Hashable:
        point = self.point(process)
        if isinstance(point, Question) and point.what == "kin":
            return process  # its children may be in any stage: it is like no other process
        if isinstance(point, Save) and not point.goes_on:
            return self._saving(process, point).saving
        if isinstance(point, Question):
            return point, tuple(self._future(learned(process, Answer(point, each))) for each in self._answers(point))
        if isinstance(point, Save):
            return point, self._future(learned(process, "written"))
        if isinstance(point, Send):
            replied = tuple(
                (truth, name, self._future(learned(process, f"{truth}: {name}")))
                for truth, replies in point.replies.items()
                for name, _ in replies
            )
            about = point.purpose, point.step, point.key, point.request, point.can_expire, point.acts_next, point.left
            return about, replied
        return point

    def _answers(self, question: Question) -> Iterator[Any]:
        if question.what == "find":
            yield None
            yield from self._machinery.kinds_of(question.name)
        else:
            yield from (False, True)


def learned(process: Process, what: Answer | str) -> Process:
    """Return the process after it has learned something."""
    return process._replace(log=(*process.log, what))
