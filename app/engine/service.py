"""What the API asks for: start a saga, once per Idempotency-Key, move one on request, and wait for it."""

import hashlib
import json
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any
from uuid import UUID

from app.config import Config
from app.engine.engine import Engine
from app.engine.runner import Runner
from app.errors import ConflictError, KeyReusedError, NotFoundError, StillRunningError
from app.store.instance import FINISHED, UNDER_WAY, Instance, Standing
from app.store.sagas import FencedError, KeyTakenError, SagaStore
from machines.registry import Registry
from machines.rows import Phase, Trigger

#: Between two looks whether a saga that is still reading has become durable.
_GLANCE_S = 0.005
#: How often a request is tried on a saga that moves by itself in the meantime.
_TRIES = 20


class SagaService:
    """Starts and moves sagas of any definition."""

    def __init__(self, config: Config, registry: Registry, store: SagaStore, engine: Engine, runner: Runner) -> None:
        self._config, self._registry = config, registry
        self._store, self._engine, self._runner = store, engine, runner

    def start(
        self, name: str, data: Mapping[str, Any], key: str | None = None, wait_s: float | None = None
    ) -> Standing:
        """Start a saga and return where it stands once it is done or `wait_s` is over.

        It is durable by then. A key that is known gives the saga it belongs to: raises StillRunningError while that
        one runs and KeyReusedError when it was started with other data.
        """
        wait_s = self._config.wait_s if wait_s is None else wait_s
        fingerprint = _fingerprint(name, data)
        if key and (known := self._known(key, fingerprint)):
            return known
        saga = Instance.begin(self._registry.latest(name), data, actor="client")
        try:
            if wait_s <= 0:
                self._engine.commit(saga, self._config.lease_s, key, fingerprint)
                self._runner.submit(saga, hold_s=0)
            else:
                _wait_for(self._runner.submit(saga, wait_s, key, fingerprint), saga, wait_s)
        except KeyTakenError:
            return self._known_after_all(key, fingerprint)
        return _standing(saga)

    def create(self, name: str, data: Mapping[str, Any], key: str | None = None) -> Standing:
        """Store a saga that begins when `execute` asks for it."""
        fingerprint = _fingerprint(name, data)
        saga = Instance.begin(self._registry.latest(name), data, actor="client")
        saga.pending = True
        try:
            self._engine.commit(saga, None, key, fingerprint)
        except KeyTakenError:
            return self._known_after_all(key, fingerprint)
        return _standing(saga)

    def execute(self, saga_id: UUID, wait_s: float | None = None) -> Standing:
        """Begin a saga that was created. One that has ended is told as it is; one that runs is a conflict."""
        saga = self._read(saga_id)
        if saga.status in FINISHED:
            return _standing(saga)
        if not saga.pending:
            raise ConflictError(f"it is {saga.status} already, in {saga.state}", saga_id=str(saga_id))
        saga.begin_now()
        try:
            self._engine.commit(saga, self._config.lease_s)
        except FencedError:
            raise ConflictError("somebody else has just begun it", saga_id=str(saga_id)) from None
        return self._run_on(saga, wait_s)

    def retry(self, saga_id: UUID, actor: str, reason: str, wait_s: float | None = None) -> Standing:
        """Send again the call of a saga that is stuck."""
        return self._ask(saga_id, (Trigger.RETRY,), actor, reason, wait_s)

    def compensate(self, saga_id: UUID, actor: str, reason: str, wait_s: float | None = None) -> Standing:
        """Undo a saga as far as its table allows: cancel it while it runs, or take a finished one back."""
        return self._ask(saga_id, (Trigger.COMPENSATE, Trigger.CANCEL), actor, reason, wait_s)

    def _ask(
        self, saga_id: UUID, triggers: tuple[Trigger, ...], actor: str, reason: str, wait_s: float | None
    ) -> Standing:
        for _ in range(_TRIES):
            saga = self._read(saga_id)
            legal = [trigger for trigger in triggers if trigger in saga.definition.rows.asked(saga.state)]
            if not legal:
                raise ConflictError(_why_not(saga), saga_id=str(saga_id), etat_final=saga.state)
            if saga.pending:
                saga.begin_now()
            self._engine.ask(saga, legal[0], actor, reason)
            try:
                self._engine.commit(saga, self._config.lease_s)
            except FencedError:
                continue  # it has moved by itself; look again
            return self._run_on(saga, wait_s)
        raise ConflictError("it keeps moving; ask again", saga_id=str(saga_id))

    def _run_on(self, saga: Instance, wait_s: float | None) -> Standing:
        wait_s = self._config.wait_s if wait_s is None else wait_s
        _wait_for(self._runner.submit(saga, wait_s), saga, wait_s)
        return _standing(saga)

    def _read(self, saga_id: UUID) -> Instance:
        saga = self._store.read(saga_id)
        if saga is None:
            raise NotFoundError(f"there is no saga {saga_id}")
        return saga

    def _known(self, key: str, fingerprint: str) -> Standing | None:
        row = self._store.find_key(key)
        if row is None:
            return None
        if row.fingerprint != fingerprint:
            raise KeyReusedError("this key began a saga with other data; send a new key", saga_id=str(row.id))
        if row.status in UNDER_WAY:
            raise StillRunningError("wait for it, and ask for it by its id", saga_id=str(row.id))
        return Standing(id=row.id, state=row.state, status=row.status, error=row.error, replayed=True)

    def _known_after_all(self, key: str | None, fingerprint: str) -> Standing:
        known = self._known(key or "", fingerprint)
        assert known is not None, "a key that is taken belongs to a saga"
        return known


def _why_not(saga: Instance) -> str:
    if saga.at.phase is Phase.COMPENSATED:
        return f"it has ended in {saga.state}: everything is undone"
    pivot = next((step.name for step in saga.definition.steps if step.kind == "pivot"), None)
    if saga.at.phase is Phase.COMPLETED and pivot:
        return f"it has ended in {saga.state}: its pivot {pivot} is behind it, and from there is no way back"
    return f"it is {saga.status}, in {saga.state}; its table has no such move from there"


def _standing(saga: Instance) -> Standing:
    assert saga.standing is not None
    return saga.standing


def _wait_for(running: "Future[None]", saga: Instance, wait_s: float) -> None:
    try:
        running.result(wait_s)
    except TimeoutError:
        # An answer promises that the saga is durable, which one that still reads need not be.
        while not (saga.standing or running.done()):
            time.sleep(_GLANCE_S)
        if running.done():
            running.result()


def _fingerprint(name: str, data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([name, data], sort_keys=True).encode()).hexdigest()
