"""The request of one attempt, as the page of a saga shows it: without the credential and without secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.admin.saga_details import Attempt
from app.participant_settings.model import IDEMPOTENCY_HEADER
from app.services import services
from app.store.models import JournalRow, SagaRow
from app.views.curl import as_curl
from app.views.planned_calls import CallKey, filled
from machines.call import Call
from machines.history import replies
from machines.references import FillError, call_headers, roots_of


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A call as it was sent."""

    path: str | None
    body: Mapping[str, Any] | None
    #: Headers of the request, without those of the credential.
    headers: Mapping[str, str]
    #: The call as a command, without secrets; None: a value of the call is not known.
    curl: str | None


def exchange_of(saga: SagaRow, journal: Sequence[JournalRow], attempt: Attempt) -> Exchange:
    call, row, results = attempt.call, attempt.row, replies(journal)
    key = CallKey(saga.id, row.step or "", row.direction or "")
    path, body = filled(call, key, saga.data, results)
    headers = _headers(call, key, saga.data, results)
    return Exchange(
        path=path,
        body=body if call.method != "GET" else None,
        headers=headers,
        curl=as_curl(call, path, headers, body, services().participants),
    )


def _headers(call: Call, key: CallKey, data: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of a call that its table and its key decide, without those of its credential."""
    known = services().participants.get(call.participant)
    named = known.idempotency_header if known else IDEMPOTENCY_HEADER
    always = call_headers(str(key.saga_id), key.step, key.direction)
    found = {named if name == IDEMPOTENCY_HEADER else name: value for name, value in always.items()}
    try:
        return found | call.filled_headers(data, results, roots_of(str(key.saga_id), key.step, key.direction))
    except FillError:
        return found  # the value of a header is not known
