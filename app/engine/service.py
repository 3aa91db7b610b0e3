"""What the API asks for: start a saga, once per Idempotency-Key, and wait for it as long as the client will."""

import hashlib
import json
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from app.config import Config
from app.engine.engine import Engine
from app.engine.runner import Runner
from app.errors import KeyReusedError, StillRunningError
from app.store.instance import Instance, Standing
from app.store.sagas import KeyTakenError, SagaStore
from machines.registry import Registry

#: Between two looks whether a saga that is still reading has become durable.
_GLANCE_S = 0.005


class SagaService:
    """Starts sagas of any definition."""

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
            if key and (known := self._known(key, fingerprint)):
                return known
            raise
        assert saga.standing is not None
        return saga.standing

    def _known(self, key: str, fingerprint: str) -> Standing | None:
        row = self._store.find_key(key)
        if row is None:
            return None
        if row.fingerprint != fingerprint:
            raise KeyReusedError("this key began a saga with other data; send a new key", saga_id=str(row.id))
        if row.status in ("running", "compensating"):
            raise StillRunningError("wait for it, and ask for it by its id", saga_id=str(row.id))
        return Standing(id=row.id, state=row.state, status=row.status, error=row.error, replayed=True)


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
