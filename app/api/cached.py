"""The cache of answers about ended sagas, in Redis.

The cache key of an answer is the path of the request. An ended saga that can still be compensated also has its version
in the key: a compensation gives the saga a new version, so no request reads the old answer any more. A key that may
read only some sagas gets no cached answer, because it may not see every parent and child of the saga. A tenant gets
one: the saga was found in its tenant before, and the whole family belongs to the same tenant.
"""

from collections.abc import Callable
from functools import wraps
from uuid import UUID

from flask import Response, request

from app.access.permissions import Scope
from app.access.principal import principal
from app.services import services
from app.store import queries
from app.store.loading import table_of
from app.store.models import SagaRow
from machines.statuses import FINISHED

#: How long an answer is cached, in seconds. After an upgrade, a client can get the old JSON for this time.
CACHE_S = 600.0


def cached(view: Callable[[UUID], Response]) -> Callable[[UUID], Response]:
    """Wrap a view that returns one saga: the answer comes from the cache when the saga has ended.

    Without Redis, nothing is cached.
    """

    @wraps(view)
    def wrapped(saga_id: UUID) -> Response:
        if principal().reach(Scope.READ) is not None:
            return view(saga_id)
        cache, key = services().shared_cache, f"answer{request.path}"
        found = cache.get(key)
        if found is not None:
            return _as_json(found)
        saga = queries.find(saga_id)  # the view then gets this row from the session, without a second query
        if saga is None or saga.status not in FINISHED:
            return view(saga_id)
        # The version is read before the journal, and the saga may move between the two reads. A newer answer is then
        # cached under the older version, which no request reads any more. An older answer is never cached under a newer
        # version.
        key = key if _never_changes(saga) else f"{key}@{saga.version}"
        found = cache.get(key)
        if found is not None:
            return _as_json(found)
        answer = view(saga_id)
        cache.put(key, answer.get_data(), CACHE_S)
        return answer

    return wrapped


def _as_json(answer: bytes) -> Response:
    return Response(answer, content_type="application/json")


def _never_changes(saga: SagaRow) -> bool:
    """Return True when no transition of the table leaves the saga's state."""
    table = table_of(services().registry, saga)
    return table is not None and not any(transition.source == saga.state for transition in table.transitions)
