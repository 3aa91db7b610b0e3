"""The threads that run sagas: a pool, and one that looks for sagas which nobody runs."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.config import Config
from app.engine.engine import Engine
from app.store.instance import Instance
from app.store.sagas import FencedError, KeyTakenError, SagaStore

_log = structlog.get_logger("runner")


class Runner:
    """Runs `config.threads` sagas at once: those it is given, and those whose owner has died or that were to wait."""

    def __init__(self, config: Config, engine: Engine, store: SagaStore) -> None:
        self._config, self._engine, self._store = config, engine, store
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix="saga")
        self._in_hand = 0
        self._counting = threading.Lock()
        self._stopping = threading.Event()
        self._recovery = threading.Thread(target=self._recover_for_ever, name="recovery", daemon=True)

    def start(self) -> None:
        """Begin to recover, and go on for as long as the process lives."""
        if self._config.embedded:
            self._end_leases_of_the_past()
        self._recovery.start()

    def stop(self) -> None:
        """Stop taking sagas, and wait for those that run."""
        self._stopping.set()
        if self._recovery.is_alive():
            self._recovery.join()
        self._pool.shutdown()

    def submit(self, saga: Instance, hold_s: float, key: str | None = None, fingerprint: str = "") -> "Future[None]":
        """Run the saga in the pool; it may wait in its thread for as long as `hold_s` from now."""
        self._count(1)
        running = self._pool.submit(self._run, saga, self._engine.clock() + hold_s, key, fingerprint)
        running.add_done_callback(lambda _done: self._count(-1))
        return running

    def recover(self) -> int:
        """Claim as many due sagas as there are free threads and run them; return how many."""
        free = self._config.threads - self._in_hand
        claimed = self._store.claim(free, self._config.lease_s) if free > 0 else []
        for saga in claimed:
            _log.info("saga.claimed", saga_id=str(saga.id), saga=saga.definition.name, state=saga.state)
            self.submit(saga, hold_s=0)
        return len(claimed)

    def _end_leases_of_the_past(self) -> None:
        """Free what a process before this one held; before the first request, so that none of ours is among it."""
        try:
            self._store.end_leases()
        except SQLAlchemyError:  # no tables yet, and so no sagas; /ready says what to do
            _log.warning("database.not_migrated")

    def _count(self, change: int) -> None:
        with self._counting:
            self._in_hand += change

    def _run(self, saga: Instance, *arguments: Any) -> None:
        try:
            self._engine.run(saga, *arguments)
        except FencedError:
            self._engine.telemetry.fenced(saga)
        except KeyTakenError:
            raise
        except Exception:
            _log.exception("saga.crashed", saga_id=str(saga.id), saga=saga.definition.name, state=saga.state)
            if saga.standing is None:
                raise
            # Forgotten here, and found again by recovery once its lease has run out.

    def _recover_for_ever(self) -> None:
        while not self._stopping.is_set():
            try:
                self.recover()
            except Exception:  # noqa: BLE001  a database that is away comes back; a recovery that ended would not
                _log.exception("recovery.failed")
            self._stopping.wait(self._config.recovery_interval_s)
