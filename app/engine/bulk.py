"""Works on bulk jobs: moves the sagas of a job, at its pace, and follows each until it has ended or is stuck again.

Any process takes the job when the one that worked on it dies. A saga that was moved before is not moved again: its
journal has the job's reason.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from sqlalchemy import Row

from app.engine.service import SagaService
from app.errors import ProblemError
from app.store.bulk import MOVED, REFUSED, BulkStore, OvertakenError

_log = structlog.get_logger("bulk")
#: Seconds between two searches for jobs, and between two looks at the sagas that a job has moved.
IDLE_S, FOLLOW_S = 1.0, 1.0
#: Seconds after which another process takes a job whose process does not answer.
LEASE_S = 15.0
#: Largest number of sagas that are moved before the results are recorded.
PART = 20
#: Largest number of sagas a second that a job moves, unless its author says otherwise.
PACE = 20.0
Result = tuple[int, str, str | None]


class BulkJobs:
    """Works on the jobs that are due, one part at a time. stopping: set when the process is to end."""

    def __init__(self, store: BulkStore, sagas: SagaService, owner: str, stopping: threading.Event) -> None:
        self.store, self._sagas, self._owner, self._stopping = store, sagas, owner, stopping

    def run(self, progressed: Callable[[], None]) -> None:
        """Work on jobs until the process is to end."""
        while not self._stopping.is_set():
            if not self.step():
                self._stopping.wait(IDLE_S)
            progressed()

    def step(self) -> bool:
        """Work on one part of a job. Return False when no job is due."""
        job = self.store.claim(self._owner, LEASE_S)
        if job is None:
            return False
        items = self.store.next_items(job.id, min(PART, max(1, round(job.pace))))
        results = self._move_all(job, items)
        try:
            self.store.record(job, results, len(items) / job.pace if items else FOLLOW_S)
        except OvertakenError:
            _log.warning("bulk.overtaken", job=str(job.id))
        return True

    def _move_all(self, job: Row[Any], items: Sequence[Row[Any]]) -> list[Result]:
        marked = reason_of(job)
        before = self.store.moved_before([item.saga_id for item in items], job.created_by, marked) if items else ()
        return [
            (item.position, MOVED, None) if item.saga_id in before else self._move(job, item, marked) for item in items
        ]

    def _move(self, job: Row[Any], item: Row[Any], reason: str) -> Result:
        move = self._sagas.retry if job.action == "retry" else self._sagas.compensate
        try:
            move(item.saga_id, job.created_by, reason, 0.0, seen=item.seen)
        except ProblemError as error:
            return item.position, REFUSED, error.detail
        return item.position, MOVED, None


def reason_of(job: Row[Any]) -> str:
    """Return the reason in the journals of the sagas that a job moves."""
    return f"{job.reason} (bulk job {job.id})"
