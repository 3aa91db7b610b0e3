"""The threads that run sagas: a pool, and a recovery thread that claims due sagas."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from math import inf
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.broker import Broker
from app.config import Config
from app.engine.engine import Engine
from app.engine.heartbeat import Heartbeat
from app.engine.run_ends import RunEnds
from app.engine.shares import Shares
from app.engine.tenant_shares import TenantShares
from app.service_threads import ServiceThreads
from app.store.database_errors import is_away
from app.store.instance import Instance
from app.store.leases import Leases
from app.store.processes import WORKER
from app.store.sagas import FencedError, KeyTakenError
from app.store.tables import TableChangedError, Tables
from app.store.tenant_room import TenantRoom
from machines.loop import RunEnd

_log = structlog.get_logger("runner")
#: Longest wait, in seconds, that a saga's thread sleeps through while a client waits for the saga's end. For a longer
#: wait the saga is released, because a sleeping thread runs no other saga.
MAX_INLINE_WAIT_S = 2.0
#: Largest number of sagas in one claim, so that other processes with free threads get sagas, too.
CLAIM_LIMIT = 32
#: While the sagas that waited for a participant go on one after another, claim them at this interval, in seconds, so
#: that few become due together; and for how long after the last one.
PACED_CLAIM_S, PACED_S = 0.1, 3.0
#: Interval, in seconds, at which a thread that waits for the GIL asks for it. Hundreds of threads wait (ADR 20), so the
#: interval is long; a thread also releases the GIL at each call and each statement.
GIL_SWITCH_S = 0.05
#: New objects between two runs of the garbage collector. Sagas create almost no reference cycles; with Python's 700 the
#: collector would run every dozen requests and scan everything in flight each time.
GC_THRESHOLD = 10_000


class Runner:
    """Runs up to `config.threads` sagas at once: sagas that are submitted, and due sagas that the runner claims.

    stopping: set when the process is to end. broker: wakes workers; None without workers. at_each_beat: functions to
    call with each heartbeat. pool: runs the submitted sagas; default: `config.threads` threads. shares: how the tables
    share the threads.
    """

    def __init__(
        self,
        *,
        config: Config,
        engine: Engine,
        leases: Leases,
        tables: Tables,
        heartbeat: Heartbeat,
        stopping: threading.Event,
        broker: Broker | None = None,
        at_each_beat: Iterable[Callable[[], None]] = (),
        threads: ServiceThreads | None = None,
        pool: Executor | None = None,
        shares: Shares | None = None,
    ) -> None:
        self._at_each_beat, self._shares = tuple(at_each_beat), shares or Shares()
        self._tenants = TenantShares(config.tenants_at_once)
        self._broker = broker
        #: Seconds for which this process leaves a due saga to the workers. It is 0 in a worker, so that a worker claims
        #: due sagas at once, even without a wake-up.
        self.patience_s = config.lease_s if broker else 0.0
        self._config, self._engine, self._leases = config, engine, leases
        self.heartbeat, self.stopping, self.tables = heartbeat, stopping, tables
        self.pool = pool or ThreadPoolExecutor(config.threads, thread_name_prefix="saga")
        self.run_ends = RunEnds()
        #: Sagas that this process runs now, also in the threads of requests.
        self._running = 0
        #: True: the last claim found as many sagas as there was room for, so more may be due.
        self._more_due = False
        #: True: the next claim also takes the due sagas that this process would still leave to the workers.
        self._woken = False
        # A claim of several sagas costs as much as a claim of one saga, so claim when half of the threads are free.
        self._claim_at = min((config.threads + 1) // 2, CLAIM_LIMIT)
        self._counting = threading.Lock()
        #: Set: the recovery thread claims at once. Otherwise it claims every `recovery_interval_s`.
        self.claim_now = threading.Event()
        #: Until when due sagas are claimed every PACED_CLAIM_S, on the clock of time.monotonic.
        self._paced_until = 0.0
        self._lost: list[Instance] = []
        # Not a daemon: the process waits for this thread, so that no claimed saga is abandoned.
        self._recovery = (threads or ServiceThreads()).add("recovery", self.recover, stopping)

    def become_worker(self) -> None:
        """Claim due sagas at once, and be listed as a worker. Call this before `start`."""
        self.patience_s, self.heartbeat.role = 0.0, WORKER

    def start(self) -> None:
        """Start the recovery thread.

        Raise TableChangedError before anything starts when the table of an unfinished saga differs in this release.
        """
        self._settle_tables()
        sys.setswitchinterval(GIL_SWITCH_S)
        gc.set_threshold(GC_THRESHOLD)
        self._engine.telemetry.queue.start(self.stopping)
        if self._broker:
            self._broker.start(self.stopping)
        try:
            if self._config.embedded:  # the only process on its SQLite file: the leases belong to a dead process
                self._leases.expire_all()
            for row in self._leases.unknown_definitions():
                _log.error("definition.unknown", saga=row.definition, version=row.definition_version)
        except SQLAlchemyError:  # the database has no tables yet, so it has no sagas; /ready says what to do
            _log.warning("database.not_migrated")
        self._recovery.start()

    def stop(self) -> None:
        """Accept no more sagas, let each finish its call, and release the unfinished sagas."""
        self.stopping.set()
        self.claim_now.set()
        self._recovery.join()
        self.pool.shutdown()
        self._engine.telemetry.queue.join()

    @property
    def config(self) -> Config:
        return self._config

    @property
    def free(self) -> int:
        """The number of sagas that this process can run besides those that it runs now."""
        return max(self._config.threads - self._running, 0)

    def accepts(self, saga: Instance) -> bool:
        """Return True when this process runs a new saga for which no client waits.

        With a broker this is False: the workers run them.
        """
        return self.free > 0 and not self._broker and self._has_room(saga)

    def wake_worker(self) -> None:
        """Wake a worker, because a saga is due that this process does not run."""
        if self._broker:
            self._broker.wake()

    def announce_due(self) -> None:
        """Have due sagas claimed now: by a worker when there is a broker, else by this process."""
        if self._broker:
            self._broker.wake()
        else:
            self.wake()

    def wake(self) -> None:
        """Wake the recovery thread, so that it claims due sagas now."""
        self._woken = True
        self.claim_now.set()

    def expect_due(self) -> None:
        """Claim due sagas at short intervals for a time, because those that waited for a participant go on now."""
        self._paced_until = time.monotonic() + PACED_S
        self.claim_now.set()

    def run_inline(self, saga: Instance, max_sleep_s: float, until: float) -> RunEnd:
        """Run the saga in the calling thread, see `Engine.run`. After OUT_OF_TIME the caller must submit the saga."""
        self._count(1, saga)
        try:
            return self._run(saga, max_sleep_s, until)
        finally:
            self._count(-1, saga)

    def submit(self, saga: Instance, max_sleep_s: float) -> "Future[RunEnd]":
        """Run the saga in the pool. max_sleep_s: longest wait, in seconds, that its thread sleeps through."""
        self._count(1, saga)
        running = self.pool.submit(self._run, saga, max_sleep_s)
        running.add_done_callback(lambda _done: self._count(-1, saga))
        return running

    def claim_due(self) -> int:
        """Claim due sagas, up to the number of free threads and CLAIM_LIMIT, and run them. Return their number."""
        telemetry, woken, room = self._engine.telemetry, self._woken, min(self.free, CLAIM_LIMIT)
        if not room:
            self._more_due = True
            return 0
        self._woken = False
        try:
            with telemetry.claiming():
                claim = partial(self._claim, 0.0 if woken else self.patience_s)
                claimed = self._shares.claim(room, self._tenants.limited(claim))
        except Exception:
            self._woken |= woken  # keep the wake-up for the next claim, because the sender does not repeat it
            raise
        if claimed and self._is_paced:
            self._paced_until = time.monotonic() + PACED_S
        for saga in claimed:
            telemetry.claimed(saga)
            self.submit(saga, max_sleep_s=0)
        self._more_due = len(claimed) == room
        if self._more_due:
            self._woken |= woken
            self.wake_worker()
            self._claim_more()
        return len(claimed)

    def claim_one(self, saga_id: UUID) -> Instance | None:
        """Claim this saga, which the caller then runs; None when it is not due, or another process has it."""
        saga = self._leases.claim_one(saga_id, self._config.lease_s)
        if saga:
            self._engine.telemetry.claimed(saga)
        return saga

    @property
    def _is_paced(self) -> bool:
        return time.monotonic() < self._paced_until

    def _has_room(self, saga: Instance) -> bool:
        return self._shares.has_room(saga.definition.name) and self._tenants.has_room(saga.tenant)

    def _claim(
        self, overdue_s: float, most: int, names: Sequence[str] | None, tenants: TenantRoom | None
    ) -> Sequence[Instance]:
        return self._leases.claim(most, self._config.lease_s, overdue_s, names, tenants)

    def _claim_more(self) -> None:
        """Wake the recovery thread when more sagas are due and enough threads are free."""
        if self._more_due and self.free >= self._claim_at:
            self.claim_now.set()

    def _count(self, change: int, saga: Instance) -> None:
        with self._counting:
            self._running += change
        free = self._shares.count(saga.definition.name, change), self._tenants.count(saga.tenant, change)
        if any(free):
            self.claim_now.set()
        if change < 0:
            self.run_ends.ran(saga.id)
            self._claim_more()

    def _run(self, saga: Instance, max_sleep_s: float, until: float = inf) -> RunEnd:
        """Run the saga. After a fenced write or an error, this process no longer holds the saga."""
        try:
            return self._drive(saga, max_sleep_s, until)
        except FencedError:
            self._engine.telemetry.fenced(saga)
            if not saga.called:
                self._uncount_claims([saga])
        except KeyTakenError:
            raise
        except Exception as error:
            _log.exception("saga.crashed", saga_id=str(saga.id), saga=saga.definition.name, state=saga.state)
            if is_away(error):
                self.heartbeat.failed(error)
                self._lost.append(saga)
            if saga.durable is None:
                raise
            # Recovery claims the saga again: at once when the database was away, otherwise when its lease ends.
        return RunEnd.RELEASED

    def _drive(self, saga: Instance, max_sleep_s: float, until: float) -> RunEnd:
        """Run the saga. When its callback came before the saga waited for it, have the saga claimed again at once."""
        end = self._engine.run(saga, max_sleep_s, until)
        if end is RunEnd.RELEASED and self._engine.answered_early(saga):
            self.announce_due()
        return end

    def _settle_tables(self) -> None:
        try:
            self.tables.compare()
        except SQLAlchemyError:  # the database is away or not migrated; without a comparison no saga is claimed
            _log.warning("tables.not_compared")
        except TableChangedError as error:
            self.heartbeat.refused = str(error)
            raise

    def recover(self, progressed: Callable[[], None] = lambda: None) -> None:
        """Claim due sagas and write heartbeats until the process is to end."""
        next_beat = time.monotonic()
        while not self.stopping.is_set():
            self.claim_now.clear()
            try:
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + self._config.recovery_interval_s
                    self._beat()
                if self.tables.compared:
                    self.claim_due()
            except (SQLAlchemyError, TableChangedError):  # /ready reports it until it is repaired: see Heartbeat
                _log.exception("recovery.failed")
            progressed()
            longest_s = PACED_CLAIM_S if self._is_paced else inf
            self.claim_now.wait(min(max(next_beat - time.monotonic(), 0.0), longest_s))
        self.heartbeat.end()

    def _beat(self) -> None:
        """Write the heartbeat and call the periodic functions."""
        self.heartbeat.beat()
        if not self.tables.compared:
            self._settle_tables()
        for function in self._at_each_beat:
            try:
                function()
            except Exception:  # noqa: BLE001  an error in a function must not stop the recovery
                _log.exception("look.failed")
        self.release_lost()

    def release_lost(self) -> None:
        """Release the sagas whose last commit the database did not confirm, so that they continue without a wait."""
        lost = self._lost[:]
        if lost:
            self._uncount_claims(lost)
            self._leases.release(lost)
            del self._lost[: len(lost)]

    def _uncount_claims(self, sagas: Iterable[Instance]) -> None:
        """Subtract one claim from each saga. Many claims lead to quarantine, but these sagas did not kill a process."""
        try:
            for saga in sagas:
                self._leases.uncount_claim(saga)
        except SQLAlchemyError:  # the count is then one too high, and the saga may be quarantined a little earlier
            _log.warning("claims.not_discounted", exc_info=True)
