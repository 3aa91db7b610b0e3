"""The threads that run sagas: a pool, and one that looks for sagas which nobody runs."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.config import Config
from app.engine.engine import Engine
from app.engine.pulse import Pulse
from app.store.instance import Instance
from app.store.leases import Leases
from app.store.sagas import FencedError, KeyTakenError

_log = structlog.get_logger("runner")
#: A wait up to this is slept through in the saga's thread while somebody waits for its end; a longer one is left to
#: the database, for a thread that sleeps is one less for other sagas.
HELD_S = 2.0


class Runner:
    """Runs `config.threads` sagas at once: those it is given, and those whose owner has died or that were to wait.

    pulse: how this process gets on with the database. stopping: set when it is to end. at_each_look: what else is to
    be done once in a while.
    """

    def __init__(
        self,
        *,
        config: Config,
        engine: Engine,
        leases: Leases,
        pulse: Pulse,
        stopping: threading.Event,
        at_each_look: Iterable[Callable[[], None]] = (),
    ) -> None:
        self._at_each_look = tuple(at_each_look)
        # With a broker the workers take what is due, and this process only what none of them has taken for long.
        self._overdue_s = config.lease_s if config.broker_url else 0.0
        self._config, self._engine, self._leases = config, engine, leases
        self.pulse, self.stopping = pulse, stopping
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix="saga")
        self._in_hand, self._more = 0, False
        self._counting = threading.Lock()
        self._wake = threading.Event()
        self._lost: list[Instance] = []
        # Not a daemon: a process that ends lets it end, and none of what it has claimed is left lying.
        self._recovery = threading.Thread(target=self._recover_until_stopped, name="recovery")

    def start(self) -> None:
        """Begin to recover, and go on until told to stop."""
        self._engine.telemetry.notes.begin(self.stopping)
        try:
            if self._config.embedded:  # the only process on its file: what the one before held is free
                self._leases.end()
            for row in self._leases.unknown():
                _log.error("definition.unknown", saga=row.definition, version=row.definition_version)
        except SQLAlchemyError:  # no tables yet, and so no sagas; /ready says what to do
            _log.warning("database.not_migrated")
        self._recovery.start()

    def stop(self) -> None:
        """Take no more sagas, let each finish its call, and hand back what is not done."""
        self.stopping.set()
        self._wake.set()
        if self._recovery.is_alive():
            self._recovery.join()
        self._pool.shutdown()

    @property
    def free(self) -> int:
        """How many more sagas it could run at once."""
        return max(self._config.threads - self._in_hand, 0)

    def run_here(self, saga: Instance, hold_s: float, until: float) -> bool:
        """Run the saga in the calling thread for as long as it can be told by then; False: it is still in hand."""
        self._count(1)
        try:
            return self._run(saga, hold_s, until)
        finally:
            self._count(-1)

    def submit(self, saga: Instance, hold_s: float) -> "Future[bool]":
        """Run the saga in the pool; it may sleep there for as long as `hold_s` at once."""
        self._count(1)
        running = self._pool.submit(self._run, saga, hold_s)
        running.add_done_callback(lambda _done: self._count(-1))
        return running

    def recover(self) -> int:
        """Claim as many due sagas as there are free threads and run them; return how many."""
        free, telemetry = self.free, self._engine.telemetry
        if not free:
            self._more = True
            return 0
        with telemetry.claiming():
            claimed = self._leases.claim(free, self._config.lease_s, self._overdue_s)
        for saga in claimed:
            telemetry.claimed(saga)
            self.submit(saga, hold_s=0)
        self._more = len(claimed) == free
        return len(claimed)

    def run_saga(self, saga_id: UUID) -> bool:
        """Run this saga in the calling thread, if it is to be run and nobody else does; tell whether it was."""
        with self._engine.telemetry.claiming():
            saga = self._leases.claim_one(saga_id, self._config.lease_s)
        if saga:
            self._engine.telemetry.claimed(saga)
            self._run(saga, hold_s=0)
        return saga is not None

    def entrust(self, limit: int) -> Sequence[UUID]:
        """Hand out up to so many due sagas: a message is to be sent for each."""
        return self._leases.entrust(limit, self._config.lease_s)

    def _count(self, change: int) -> None:
        with self._counting:
            self._in_hand += change
        if change < 0 and self._more:  # there were more than it could take: go on at once
            self._wake.set()

    def _run(self, saga: Instance, hold_s: float, until: float = inf) -> bool:
        """Tell whether it is out of hand, which it also is when it was lost."""
        try:
            return self._engine.run(saga, hold_s, until)
        except FencedError:
            self._engine.telemetry.fenced(saga)
        except KeyTakenError:
            raise
        except Exception as error:
            _log.exception("saga.crashed", saga_id=str(saga.id), saga=saga.definition.name, state=saga.state)
            if isinstance(error, DBAPIError):
                self.pulse.failed(error)
                self._lost.append(saga)
            if saga.standing is None:
                raise
            # Forgotten here, and found again by recovery: at once when the database was away, else after its lease.
        return True

    def _recover_until_stopped(self) -> None:
        while not self.stopping.is_set():
            try:
                self._wake.clear()
                self.pulse.beat()
                for look in self._at_each_look:
                    look()
                self._release_lost()
                self.recover()
            except Exception:  # noqa: BLE001  a database that is away comes back; a recovery that ended would not
                _log.exception("recovery.failed")
            self._wake.wait(self._config.recovery_interval_s)
        self.pulse.end()

    def _release_lost(self) -> None:
        lost = self._lost[:]
        if lost:
            self._leases.release(lost)
            del self._lost[: len(lost)]
