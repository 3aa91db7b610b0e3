"""The answers about ended sagas, cached in Redis.

A saga that has ended and cannot be compensated never changes, so its answer is cached under its path. An ended saga
that can still be compensated is cached under its path and version: a compensation makes a new version, and the old
answer is never read again.
"""

from collections.abc import Callable
from functools import wraps
from uuid import UUID

from flask import Response, request

from app.services import services
from app.store import queries
from app.store.loading import table_of
from app.store.models import SagaRow
from machines.statuses import FINISHED

#: Seconds that an answer is cached, so that a release with another shape of answer is seen soon.
CACHE_S = 600.0


def cached(view: Callable[[UUID], Response]) -> Callable[[UUID], Response]:
    """Answer a GET of one ended saga from the cache, where there is a Redis."""

    @wraps(view)
    def wrapped(saga_id: UUID) -> Response:
        cache, key = services().shared_cache, f"answer{request.path}"
        found = cache.get(key)
        if found is not None:
            return _as_json(found)
        saga = queries.find(saga_id)  # the view finds the saga in the session, without a second query
        if saga is None or saga.status not in FINISHED:
            return view(saga_id)
        # The version is read before the journal. So a newer answer may be cached under an older version, which no
        # request reads any more. An older answer is never cached under a newer version.
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
    return table is not None and not any(row.source == saga.state for row in table.transitions)
