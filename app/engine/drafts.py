"""Ends the drafts that nobody has started: sagas that `SagaService.create` stored long ago.

A draft has sent no call, so nothing is undone. The draft ends like a saga whose deadline is over before its first call:
compensated, with the reason in its journal. It is not deleted, so a request with its key still finds it.
"""

import time
from collections.abc import Callable

from app.engine.engine import Engine
from app.store.leases import Leases
from app.store.sagas import FencedError
from app.store.tables import Tables
from machines.transitions import Trigger

#: Seconds between two passes over the drafts. More passes are not needed, because drafts wait for days.
PASS_EVERY_S = 60.0
#: Largest number of drafts that one pass ends, because the same thread also claims due sagas.
PASS_LIMIT = 50


class Drafts:
    """Ends old drafts. days: how long a draft waits for its start."""

    def __init__(
        self, engine: Engine, leases: Leases, tables: Tables, days: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine, self._leases, self._tables = engine, leases, tables
        self._days, self._clock = days, clock
        self._next_pass = clock()

    def expire(self) -> None:
        """End old drafts. Do nothing when the last pass was less than PASS_EVERY_S ago and left no old draft.

        Do nothing before the tables are compared, either. Until then it is unknown which table a draft belongs to.
        """
        if self._clock() < self._next_pass or not self._tables.compared:
            return
        old = self._leases.old_drafts(self._days, PASS_LIMIT)
        for saga_id in old:
            saga = self._engine.store.read(saga_id)
            if saga is None or not saga.pending:  # started since the list was read
                continue
            saga.start_pending()
            if saga.current.runs:  # otherwise every step was skipped, and nothing is given up
                saga.give_up(
                    Trigger.EXPIRE, actor=self._engine.actor, reason=f"nobody started it within {self._days} days"
                )
            try:
                self._engine.release(saga, None)
            except FencedError:  # another process has started or ended it since the read
                continue
        if len(old) < PASS_LIMIT:
            self._next_pass = self._clock() + PASS_EVERY_S
