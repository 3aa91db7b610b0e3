"""Finds the saga that an earlier request with the same Idempotency-Key has started.

A key belongs to its sender and the type of saga: two shops that both send `order-1` each get their own order. The
database has one unique column of keys, and replicas of the previous release store each key there as it was sent. So the
first saga with a key stores the key as it was sent, too. A saga of another sender or type with an equal key stores the
written-out form: sender, type and key. A request looks for both forms.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from app.errors import KeyReusedError, SagaDeletedError, StillRunningError
from app.shared_cache import SharedCache
from app.store.instance import WRITTEN_OUT, Instance, SagaSnapshot
from app.store.loading import snapshot_of
from app.store.sagas import SagaStore
from app.store.tenants import acting_tenant
from machines.saga import Saga
from machines.statuses import UNDER_WAY

#: When two requests with one key arrive together: the longest wait, in seconds, until the first saga is durable.
TURN_S = 1.0
#: Seconds between two reads that look for the saga of the first request.
_POLL_S = 0.005
#: Member for the start time in the digest of a request. The name has a space, so it differs from every field of data.
_START_AT = "start at"


class Keys:
    """Finds the saga of an idempotency key. Only the database decides whether a key is taken."""

    def __init__(self, store: SagaStore, cache: SharedCache) -> None:
        self._store, self._cache = store, cache

    def started(self, saga: Instance) -> SagaSnapshot | None:
        """Return the earlier saga with this saga's key, or None.

        Raise StillRunningError while the earlier saga runs, and KeyReusedError when it was started with other data.
        """
        if not saga.sent_key:
            return None
        return self.known(saga) or self._started_this_moment(saga)

    def known(self, saga: Instance) -> SagaSnapshot | None:
        """Return the earlier saga with this saga's key, or None. Set the key that the saga is stored with. Do not wait.

        The errors are those of `started`.
        """
        if not saga.sent_key:
            return None
        row = _earlier(saga, self._rows([saga]))
        if row is None:
            return None
        if row.status in UNDER_WAY:
            raise StillRunningError("wait until that saga has ended, or read it by its saga_id", saga_id=str(row.id))
        return snapshot_of(row, replayed=True)

    def known_all(self, sagas: Sequence[Instance]) -> list[SagaSnapshot | KeyReusedError | None]:
        """Return for each saga what `known` returns for it. A saga that still runs is returned, too.

        For a saga whose key was reused, the list contains a KeyReusedError. It is not raised, so the other sagas get
        results.
        """
        rows = self._rows(sagas)
        return [_snapshot_or_error(saga, rows) for saga in sagas]

    def _rows(self, sagas: Iterable[Instance]) -> Mapping[str, Row[Any]]:
        """Return key → row, for each key that one of these sagas can have and that is taken."""
        keys = [key for saga in sagas if saga.sent_key for key in (saga.sent_key, _written_out(saga))]
        return {row.key: row for row in self._store.find_keys(*keys)}

    def _started_this_moment(self, saga: Instance) -> SagaSnapshot | None:
        """Wait up to TURN_S until a simultaneous request with this key has made its saga durable.

        Return that saga or None.

        Without this wait, the second saga would send its reads to participants, although it can never be stored.
        """
        if self._cache.lock(f"key/{_written_out(saga)}", TURN_S) is False:
            until = time.monotonic() + TURN_S
            while time.monotonic() < until:
                if known := self.known(saga):
                    return known
                time.sleep(_POLL_S)
        return None


def new_saga(
    definition: Saga, data: Mapping[str, Any], key: str | None, by: str, sent: Mapping[str, Any] | None,
    *, webhook: str | None = None, start_at: datetime | None = None,
) -> Instance:  # fmt: skip
    """Return a new saga with its key, its sender and its webhook. The arguments are those of `SagaService.start`.

    start_at: when the saga is to start. The digests contain this time, so a request with another time differs.
    """
    saga = Instance.new(definition, data, actor="client")
    saga.started_by, saga.tenant, saga.webhook = by, acting_tenant(), webhook
    saga.start_at, saga.pending = start_at, start_at is not None
    if key is not None:
        at = {} if start_at is None else {_START_AT: start_at.astimezone(UTC).isoformat()}
        # The key of a tenant is written out at once: it never meets the key of a sender outside the tenant.
        saga.sent_key = saga.key = (
            key if saga.tenant is None else f"{WRITTEN_OUT}{by}@{saga.tenant} {definition.name} {key}"
        )
        saga.fingerprint = fingerprint(definition.name, {**data, **at})
        if sent is not None:
            beside = at if webhook is None else at | {"webhook": webhook}
            saga.sent_digest = sent_digest({"data": sent} | beside if beside else sent)
    return saga


def fingerprint(name: str, data: Mapping[str, Any]) -> str:
    """Return a digest of a request's data with defaults.

    Releases before migration 0006 compare requests by this digest.
    """
    return hashlib.sha256(json.dumps([name, data], sort_keys=True, default=str).encode()).hexdigest()


def sent_digest(sent: Mapping[str, Any]) -> str:
    """Return a digest of what a client sent. The order of members does not matter, and 1.0 has the same digest as 1."""
    return hashlib.sha256(json.dumps(_plain(sent), sort_keys=True, default=str).encode()).hexdigest()


def difference(first: Row[Any] | Instance, saga: Instance) -> str:
    """Return what differs between two requests with one key: `another start time`. first: the earlier saga."""
    name, found = saga.definition.name, []
    if fingerprint(name, first.data) == fingerprint(name, saga.data):
        if first.fingerprint and first.fingerprint != saga.fingerprint:
            found.append("another start time")
        if first.webhook != saga.webhook:
            found.append("another webhook")
    return " and ".join(found) or "other data"


def as_sent(key: str | None) -> str | None:
    """Return a stored key as its client sent it."""
    if key is None or not key.startswith(WRITTEN_OUT):
        return key
    return key.removeprefix(WRITTEN_OUT).split(" ", 2)[2]


def _earlier(saga: Instance, rows: Mapping[str, Row[Any]]) -> Row[Any] | None:
    """Return the row of the earlier saga with this saga's key, or None.

    Raise KeyReusedError for other data, and when that saga was deleted. Raise StillRunningError while it is inserted.

    Also set the key that the saga is stored with: the written-out form when another saga has the key as sent.
    """
    own, first = _written_out(saga), rows.get(str(saga.sent_key))
    row = rows.get(own) or (first if first is not None and _of_the_same(first, saga) else None)
    if row is None:
        saga.key = saga.sent_key if first is None else own
    elif row.id is None and not row.outlives_saga:  # a distributed database commits the key before the saga
        raise StillRunningError("that saga is being started; send the request again", saga_id=str(row.saga_id))
    elif row.id is None:
        detail = "the saga that this key started has ended and was deleted; send a new key for a new request"
        raise SagaDeletedError(detail, saga_id=str(row.saga_id))
    elif not _same_request(row, saga):
        differs = difference(row, saga)
        raise KeyReusedError(f"this key started a saga with {differs}; send a new key", saga_id=str(row.id))
    return row


def _snapshot_or_error(saga: Instance, rows: Mapping[str, Row[Any]]) -> SagaSnapshot | KeyReusedError | None:
    try:
        row = _earlier(saga, rows)
    except KeyReusedError as error:
        return error
    return None if row is None else snapshot_of(row, replayed=True)


def _written_out(saga: Instance) -> str:
    return f"{WRITTEN_OUT}{saga.started_by} {saga.definition.name} {saga.sent_key}"


def _of_the_same(row: Row[Any], saga: Instance) -> bool:
    """Return True when the row has the saga's type and sender. Rows older than migration 0006 match every sender."""
    there = row.id is not None
    name, by = (row.definition, row.started_by) if there else (row.key_definition, row.key_started_by)
    return name == saga.definition.name and by in (None, saga.started_by)


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
