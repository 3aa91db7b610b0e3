"""The same start request, by its Idempotency-Key, gives the same saga.

A key is one of whoever sends it, for one type of saga: two shops that both send `order-1` each get their own order.
The database has one unique column of keys, which replicas of a release before know as well and fill with the key as
it was sent. So the first saga of a key has it there as it was sent, and sagas of other senders or types, which meet
that one, have it written out: who, for what, and the key. Two requests of one sender meet in either form.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from app.errors import KeyReusedError, StillRunningError
from app.fleeting import Fleeting
from app.store.instance import UNDER_WAY, Instance, Standing
from app.store.loading import standing
from app.store.sagas import SagaStore

#: For so long the first request with a key has its turn before another one tries.
TURN_S = 1.0
_GLANCE_S = 0.005
#: Before a key that is written out. No client can send one that begins so, for those are ASCII.
_WRITTEN_OUT = "\N{KEY} "


class Keys:
    """Finds the saga that a key belongs to. Whether a key is taken, the database decides."""

    def __init__(self, store: SagaStore, fleeting: Fleeting) -> None:
        self._store, self._fleeting = store, fleeting

    def begun(self, saga: Instance) -> Standing | None:
        """Return the saga that was begun with this one's key before it, if one was.

        Raises StillRunningError while that one runs and KeyReusedError when it was started with other data.
        """
        if not saga.sent_key:
            return None
        return self.known(saga) or self._begun_this_moment(saga)

    def known(self, saga: Instance) -> Standing | None:
        """Do the same, and wait for nobody. Where others have the key, the saga gets it written out."""
        if not saga.sent_key:
            return None
        own = _written_out(saga)
        rows = {row.idempotency_key: row for row in self._store.find_keys(saga.sent_key, own)}
        first = rows.get(saga.sent_key)
        row = rows.get(own) or (first if first is not None and _of_the_same(first, saga) else None)
        if row is None:
            saga.key = saga.sent_key if first is None else own
            return None
        if not _same_request(row, saga):
            raise KeyReusedError("this key began a saga with other data; send a new key", saga_id=str(row.id))
        if row.status in UNDER_WAY:
            raise StillRunningError("wait for it, and ask for it by its id", saga_id=str(row.id))
        return standing(row, replayed=True)

    def _begun_this_moment(self, saga: Instance) -> Standing | None:
        """Let another request with this key, which has come a moment ago, make its saga durable.

        It spares the participants the reads of a saga that could not be stored.
        """
        if self._fleeting.lock(f"key/{_written_out(saga)}", TURN_S) is False:
            until = time.monotonic() + TURN_S
            while time.monotonic() < until:
                if known := self.known(saga):
                    return known
                time.sleep(_GLANCE_S)
        return None


def fingerprint(name: str, data: Mapping[str, Any]) -> str:
    """Return what releases before 0006 know a request by: its data, with the defaults of the release."""
    return hashlib.sha256(json.dumps([name, data], sort_keys=True, default=str).encode()).hexdigest()


def sent_digest(sent: Mapping[str, Any]) -> str:
    """Return what a request is known by: what its client sent, in any order of members; 1 and 1.0 are one number."""
    return hashlib.sha256(json.dumps(_plain(sent), sort_keys=True, default=str).encode()).hexdigest()


def as_sent(key: str | None) -> str | None:
    """Return a key of the database as its client sent it."""
    if key is None or not key.startswith(_WRITTEN_OUT):
        return key
    return key.removeprefix(_WRITTEN_OUT).split(" ", 2)[2]


def _written_out(saga: Instance) -> str:
    return f"{_WRITTEN_OUT}{saga.started_by} {saga.definition.name} {saga.sent_key}"


def _of_the_same(row: Row[Any], saga: Instance) -> bool:
    """Return True when a saga is of the same type and sender. Of one from before 0006 nobody knows the sender."""
    return row.definition == saga.definition.name and row.started_by in (None, saga.started_by)


def _same_request(row: Row[Any], saga: Instance) -> bool:
    if row.sent_digest and saga.sent_digest:
        return bool(row.sent_digest == saga.sent_digest)
    return bool(row.fingerprint == saga.fingerprint)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
