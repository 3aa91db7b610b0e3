"""Answers about sagas that have ended, kept in Redis.

A saga that has ended for good never changes, so its answer is kept under its path. One that may still be taken back (a
completed purchase) is kept under its path and version: whoever takes it back makes a new version, and the old answer is
never read again.
"""

from collections.abc import Callable
from functools import wraps
from uuid import UUID

from flask import Response, request

from app.services import services
from app.store import queries
from app.store.instance import FINISHED
from app.store.loading import table_of
from app.store.models import SagaRow

#: After that it is read anew, so that a release with another shape of answer need not think of it.
KEPT_S = 600.0


def remembered(view: Callable[[UUID], Response]) -> Callable[[UUID], Response]:
    """Answer a GET of one saga from what any process has answered before, where there is a Redis."""

    @wraps(view)
    def wrapped(saga_id: UUID) -> Response:
        fleeting, key = services().shared_cache, f"answer{request.path}"
        kept = fleeting.get(key)
        if kept is not None:
            return _as_kept(kept)
        saga = queries.find(saga_id)  # the view finds it in the session: no second query
        if saga is None or saga.status not in FINISHED:
            return view(saga_id)
        # The version is read before the journal: an answer of a newer version may be kept under an older one, which
        # nobody asks for any more, but never the other way round.
        key = key if _over(saga) else f"{key}@{saga.version}"
        kept = fleeting.get(key)
        if kept is not None:
            return _as_kept(kept)
        answer = view(saga_id)
        fleeting.put(key, answer.get_data(), KEPT_S)
        return answer

    return wrapped


def _as_kept(answer: bytes) -> Response:
    return Response(answer, content_type="application/json")


def _over(saga: SagaRow) -> bool:
    """Return True when no row of its table leaves the state it is in."""
    table = table_of(services().registry, saga)
    return table is not None and not any(row.source == saga.state for row in table.rows.rows)
