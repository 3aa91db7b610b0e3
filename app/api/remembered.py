"""Answers about sagas that have ended for good: such a saga never changes, so its answer needs no invalidation."""

from collections.abc import Callable
from functools import wraps
from typing import cast
from uuid import UUID

from flask import Response, current_app, request

from app.api.parts import registry
from app.fleeting import Fleeting
from app.store import queries
from app.store.loading import table_of

#: After that it is read anew, so that a release with another shape of answer need not think of it.
KEPT_S = 600.0


def remembered(view: Callable[[UUID], Response]) -> Callable[[UUID], Response]:
    """Answer a GET of one saga from what any process has answered before, where there is a Redis."""

    @wraps(view)
    def wrapped(saga_id: UUID) -> Response:
        fleeting, key = cast("Fleeting", current_app.extensions["fleeting"]), f"answer{request.path}"
        kept = fleeting.get(key)
        if kept is not None:
            return Response(kept, content_type="application/json")
        answer = view(saga_id)
        if _over(saga_id):
            fleeting.put(key, answer.get_data(), KEPT_S)
        return answer

    return wrapped


def _over(saga_id: UUID) -> bool:
    """Tell whether no row of its table leaves the state it is in. A completed saga may still be taken back."""
    saga = queries.find(saga_id)  # the session has it: no second query
    table = table_of(registry(), saga) if saga else None
    return saga is not None and table is not None and not any(row.source == saga.state for row in table.rows.rows)
