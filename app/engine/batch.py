"""Starts many sagas in one commit. Each start has its own idempotency key and its own result.

A batch sends no call itself. Its sagas become due at once, or at their own time, and any process claims and runs them.
When a client repeats a batch because the answer was lost, the keys lead to the sagas of its first request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.engine.engine import Engine
from app.engine.idempotency import Keys, difference, new_saga
from app.engine.runner import Runner
from app.errors import ConflictError, KeyReusedError
from app.store.instance import Instance, SagaSnapshot
from app.store.sagas import KeyTakenError
from machines.saga import Saga

#: Largest number of tries of one batch. A try fails when another request takes one of its keys.
_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start of a batch."""

    #: Idempotency key.
    key: str
    data: Mapping[str, Any]
    #: The data before defaults were filled in.
    sent: Mapping[str, Any]
    #: Webhook, see `SagaService.start`.
    webhook: str | None = None
    #: When the saga is to start; None: at once.
    start_at: datetime | None = None


class Batches:
    """Starts sagas of one type together."""

    def __init__(self, engine: Engine, runner: Runner, keys: Keys) -> None:
        self._engine, self._runner, self._keys = engine, runner, keys

    def start(self, definition: Saga, starts: Sequence[Start], by: str) -> list[SagaSnapshot | KeyReusedError]:
        """Start a saga for each key that is new. Return the durable state of each start's saga, in order.

        by: the sender, who owns the keys. A start with a known key returns the saga of that key, finished or not. Its
        result is KeyReusedError when that saga was started with other data. When a key occurs twice in a batch, its
        first start decides.
        """
        for _ in range(_TRIES):
            sagas = [
                new_saga(definition, each.data, each.key, by, each.sent, webhook=each.webhook, start_at=each.start_at)
                for each in starts
            ]
            first = {saga.sent_key: saga for saga in reversed(sagas)}
            known = self._keys.known_all(sagas)
            new = [saga for saga, found in zip(sagas, known, strict=True) if not found and first[saga.sent_key] is saga]
            try:
                self._store(new)
            except KeyTakenError:
                continue
            return [found or _result(saga, first[saga.sent_key]) for saga, found in zip(sagas, known, strict=True)]
        raise ConflictError("other requests use the same keys at the same time; send the batch again")

    def _store(self, new: Sequence[Instance]) -> None:
        if not new:
            return
        self._engine.insert_all(new)
        self._runner.announce_due()


def _result(saga: Instance, first: Instance) -> SagaSnapshot | KeyReusedError:
    """Return the result of a start whose key was new. first: the saga of the first start with this key."""
    stored = first.durable
    assert stored is not None
    if saga is first:
        return stored
    if saga.sent_digest != first.sent_digest:
        differs = difference(first, saga)
        return KeyReusedError(f"an earlier start of this batch has this key and {differs}", saga_id=str(stored.id))
    return replace(stored, replayed=True)
