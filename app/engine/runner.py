"""The threads that run sagas: a pool, and one that looks for sagas which nobody runs."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.broker import Broker
from app.config import Config
from app.engine.engine import Engine
from app.engine.pulse import Pulse
from app.store.database_errors import is_away
from app.store.instance import Instance
from app.store.leases import Leases
from app.store.sagas import FencedError, KeyTakenError
from app.store.tables import TableChangedError, Tables
from app.supervision import ServiceThreads

_log = structlog.get_logger("runner")
#: A wait up to this is slept through in the saga's thread while somebody waits for its end; a longer one is left to
#: the database, for a thread that sleeps is one less for other sagas.
HELD_S = 2.0
#: As many as one look takes at most, for others may have room as well.
BATCH = 32
#: So often a thread that waits for the interpreter's lock wakes to ask for it, which hundreds of them do (ADR 20). Who
#: holds it gives it up with each call and each statement all the same.
SWITCH_S = 0.05
#: So many new objects between two searches for garbage that goes round in circles, of which a saga leaves next to none.
#: Python's own 700 are those of a dozen requests, and each search looks at all that is in flight.
SEARCH = 10_000


class Runner:
    """Runs `config.threads` sagas at once: those it is given, and those whose owner has died or that were to wait.

    pulse: how this process gets on with the database. stopping: set when it is to end. broker: to wake workers, where
    there are some. at_each_look: what else is to be done once in a while.
    """

    def __init__(
        self,
        *,
        config: Config,
        engine: Engine,
        leases: Leases,
        tables: Tables,
        pulse: Pulse,
        stopping: threading.Event,
        broker: Broker | None = None,
        at_each_look: Iterable[Callable[[], None]] = (),
        threads: ServiceThreads | None = None,
    ) -> None:
        self._at_each_look = tuple(at_each_look)
        self._broker = broker
        #: Seconds for which this process leaves to the workers what has become due, unless it is woken. A worker sets
        #: it to 0: it has nobody to leave it to, and looks by itself, also without a message, a beat or a broker.
        self.patience_s = config.lease_s if broker else 0.0
        self._config, self._engine, self._leases = config, engine, leases
        self.pulse, self.stopping, self.tables = pulse, stopping, tables
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix="saga")
        self._in_hand, self._more, self._woken = 0, False, False
        # To fill the room of one costs as much as of several.
        self._worth_it = min((config.threads + 1) // 2, BATCH)
        self._counting = threading.Lock()
        self._wake = threading.Event()
        self._lost: list[Instance] = []
        # Not a daemon: a process that ends lets it end, and none of what it has claimed is left lying.
        self._recovery = (threads or ServiceThreads()).add("recovery", self._recover_until_stopped, stopping)

    def start(self) -> None:
        """Begin to recover, and go on until told to stop.

        Raises TableChangedError, and then has begun nothing.
        """
        self._settle_tables()
        sys.setswitchinterval(SWITCH_S)
        gc.set_threshold(SEARCH)
        self._engine.telemetry.notes.begin(self.stopping)
        if self._broker:
            self._broker.begin(self.stopping)
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
        self._recovery.join()
        self._pool.shutdown()
        self._engine.telemetry.notes.end()

    @property
    def config(self) -> Config:
        return self._config

    @property
    def free(self) -> int:
        """How many more sagas it could run at once."""
        return max(self._config.threads - self._in_hand, 0)

    @property
    def takes_in(self) -> bool:
        """Is it to run what nobody waits for? Where there are workers, they do."""
        return self.free > 0 and not self._broker

    def call_others(self) -> None:
        """Something is due that this process does not run: let a worker look."""
        if self._broker:
            self._broker.wake()

    def look(self) -> None:
        """Take what is due, soon and in a thread of its own."""
        self._woken = True
        self._wake.set()

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
        """Claim due sagas, as many as there is room for or a batch of them, and run them; return how many."""
        telemetry, woken, room = self._engine.telemetry, self._woken, min(self.free, BATCH)
        if not room:
            self._more = True
            return 0
        self._woken = False
        try:
            with telemetry.claiming():
                claimed = self._leases.claim(room, self._config.lease_s, 0.0 if woken else self.patience_s)
        except Exception:
            self._woken |= woken  # nobody wakes it for these again
            raise
        for saga in claimed:
            telemetry.claimed(saga)
            self.submit(saga, hold_s=0)
        self._more = len(claimed) == room
        if self._more:
            self._woken |= woken
            self.call_others()
            self._look_on()
        return len(claimed)

    def _look_on(self) -> None:
        """There was more than it could take: look again, once that is worth it."""
        if self._more and self.free >= self._worth_it:
            self._wake.set()

    def _count(self, change: int) -> None:
        with self._counting:
            self._in_hand += change
        if change < 0:
            self._look_on()

    def _run(self, saga: Instance, hold_s: float, until: float = inf) -> bool:
        """Tell whether it is out of hand, which it also is when it was lost."""
        try:
            return self._engine.run(saga, hold_s, until)
        except FencedError:
            self._engine.telemetry.fenced(saga)
            if not saga.called:
                self._discount([saga])
        except KeyTakenError:
            raise
        except Exception as error:
            _log.exception("saga.crashed", saga_id=str(saga.id), saga=saga.definition.name, state=saga.state)
            if is_away(error):
                self.pulse.failed(error)
                self._lost.append(saga)
            if saga.durable is None:
                raise
            # Forgotten here, and found again by recovery: at once when the database was away, else after its lease.
        return True

    def _settle_tables(self) -> None:
        try:
            self.tables.settle()
        except SQLAlchemyError:  # it is away, or was never migrated: until it has answered this claims nothing
            _log.warning("tables.not_compared")
        except TableChangedError as error:
            self.pulse.refused = str(error)
            raise

    def _recover_until_stopped(self, progressed: Callable[[], None]) -> None:
        next_beat = time.monotonic()
        while not self.stopping.is_set():
            self._wake.clear()
            try:
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + self._config.recovery_interval_s
                    self._beat()
                if self.tables.settled:
                    self.recover()
            except (SQLAlchemyError, TableChangedError):  # until it is mended /ready says so: see Pulse
                _log.exception("recovery.failed")
            progressed()
            self._wake.wait(max(next_beat - time.monotonic(), 0.0))
        self.pulse.end()

    def _beat(self) -> None:
        """What is to be done once in a while, however often there is something to take."""
        self.pulse.beat()
        if not self.tables.settled:
            self._settle_tables()
        for look in self._at_each_look:
            try:
                look()
            except Exception:  # noqa: BLE001  none of them may keep this process from recovering sagas
                _log.exception("look.failed")
        self.release_lost()

    def release_lost(self) -> None:
        """Give back the sagas whose last commit the database did not confirm, so that they go on without a wait."""
        lost = self._lost[:]
        if lost:
            self._discount(lost)
            self._leases.release(lost)
            del self._lost[: len(lost)]

    def _discount(self, sagas: Iterable[Instance]) -> None:
        """Take back claims that no process died of, so that they bring no saga nearer to its quarantine."""
        try:
            for saga in sagas:
                self._leases.discount(saga)
        except SQLAlchemyError:  # it counts one too many: a person may look at the saga a little earlier
            _log.warning("claims.not_discounted", exc_info=True)
