"""Deletes ended sagas by their age, when RETENTION_DAYS is set. One process at a time does it, in small batches."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import structlog
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy.exc import SQLAlchemyError

from app.store.bulk import BulkStore
from app.store.database import db
from app.store.database_errors import Meaning, meaning
from app.store.months import make_ahead
from app.store.old_months import drop_old
from app.store.request_keys import free_old
from app.store.retention import delete_ended, ended_before
from app.store.turns import RETENTION, Turns

_log = structlog.get_logger("retention")
#: Seconds between two looks of all processes together, and between two questions of one process whether it is to look.
EVERY_S, IDLE_S = 300.0, 15.0
#: Sagas of one batch. One statement deletes them, so it holds few locks for a short time.
BATCH = 100
#: Pause between two batches, in seconds: orders are served first. So a turn deletes at most some 200 sagas a second.
PAUSE_S = 0.5
#: The turn is prolonged by this time with each batch, in seconds. When its process dies, another one goes on after it.
LEASE_S = 60.0


class Retention:
    """Deletes sagas that ended before `days` days. context: what the session of the database needs.

    keys_days: Idempotency-Keys that are older are free again, and no others; None: those of the deleted sagas.
    """

    def __init__(
        self,
        days: int,
        turns: Turns,
        bulk_jobs: BulkStore,
        metrics: CollectorRegistry,
        *,
        context: Callable[[], AbstractContextManager[object]],
        stopping: threading.Event,
        keys_days: int | None = None,
    ) -> None:
        self._keys_days = keys_days
        self._days, self._turns, self._bulk_jobs = days, turns, bulk_jobs
        self._context, self._stopping = context, stopping
        self._deleted = Counter(
            "saga_retention_deleted",
            "Ended sagas, with their children, that RETENTION_DAYS has deleted",
            registry=metrics,
        )

    def run(self, progressed: Callable[[], None]) -> None:
        """Delete what is old until the process is to end."""
        while not self._stopping.is_set():
            try:
                self.step(progressed)
            except SQLAlchemyError as error:
                if meaning(error) is not Meaning.FORBIDDEN:
                    raise
                _log.error("retention.forbidden", remedy="run `saga prune` as the owner of the tables instead")
                self._turns.prolong(RETENTION, EVERY_S)
            progressed()
            self._stopping.wait(IDLE_S)

    def step(self, progressed: Callable[[], None] = lambda: None) -> int:
        """Delete all old sagas, if it is the turn of this process. Return their number, with their children."""
        if not self._turns.claim(RETENTION, EVERY_S):
            return 0
        total = self._drop_months(progressed)
        while not self._stopping.is_set():
            with self._context():
                found = [row.id for row in ended_before(self._days, BATCH)]
                deleted = delete_ended(found, self._keys_days) if found else 0
            self._deleted.inc(deleted)
            total += deleted
            if len(found) < BATCH or not deleted:
                break
            self._turns.prolong(RETENTION, LEASE_S)
            progressed()
            self._stopping.wait(PAUSE_S)
        self._free_keys(progressed)
        while self._bulk_jobs.remove_old(self._days) and not self._stopping.is_set():
            progressed()
        self._turns.prolong(RETENTION, EVERY_S)
        if total:
            _log.info("retention.deleted", sagas=total, days=self._days)
        return total

    def _drop_months(self, progressed: Callable[[], None]) -> int:
        """Make the partitions of the next months, and drop the old ones. Return the number of their sagas."""
        total = 0
        with self._context():
            make_ahead(db.engine)
            for month, number in drop_old(db.engine, self._days, keys_days=self._keys_days):
                _log.info("retention.dropped", month=f"{month.start:%Y-%m}", sagas=number)
                self._deleted.inc(number)
                self._turns.prolong(RETENTION, LEASE_S)
                progressed()
                total += number
        return total

    def _free_keys(self, progressed: Callable[[], None]) -> None:
        if self._keys_days is None:
            return
        with self._context():
            for _freed in free_old(db.engine, self._keys_days):
                if self._stopping.is_set():
                    return
                self._turns.prolong(RETENTION, LEASE_S)
                progressed()
                self._stopping.wait(PAUSE_S)
