"""The answer of a participant to one request, read from the row of a journal that records it."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from machines.call import Call
from machines.history import JournalEntry
from machines.keeps import Kept, kept_of
from machines.outcomes import Outcome
from machines.references import parts, within
from machines.testing.answers import Answer, accepted, busy, down, failed, lost, ok, refused, replies, unheard
from machines.testing.successes import put

_OK, _REDIRECT, _BAD_REQUEST, _NOT_FOUND, _SERVER_ERROR, _UNAVAILABLE = 200, 300, 400, 404, 500, 503
#: Words of a reason that the service adds to those of the participant.
_ADDED = ", after an attempt that may have worked"


def success(call: Call, row: JournalEntry) -> Answer:
    """Return the answer of a participant that did what the call asks for. Its body is that of `body_of`."""
    headers, status = headers_of(call, row.reply), row.status_code
    if status is not None and not _OK <= status < _REDIRECT:
        return replies(status, headers=headers, acts=True)
    answer = ok(headers=headers) if headers else ok
    return replace(answer, status=status) if call.means and status not in (None, ok.status) else answer


def refusal(call: Call, row: JournalEntry) -> Answer:
    """Return the answer of a participant that refuses. Its body has the participant's words."""
    return _refusal(call, row.status_code or 0, row.reply, _words(row))


def refusal_before_probe(call: Call, row: JournalEntry) -> Answer:
    """Return the refusal whose probe has found nothing certain. The row has the reply to the probe.

    Its reason begins with the status and the words of the refusal.
    """
    status, _, words = str(row.reason).partition(_ADDED)[0].partition(" ")
    return _refusal(call, int(status) if status.isdecimal() else 0, None, words)


def _refusal(call: Call, status: int, reply: Any, words: str) -> Answer:
    body = dict(reply) if isinstance(reply, Mapping) else {}
    if status < _REDIRECT:
        return replies(status or _OK, body or _meant(call), acts=False)
    if not _BAD_REQUEST <= status < _SERVER_ERROR:  # means= says that it refuses
        return replies(status, body or {"detail": words}, acts=False)
    detail = body.pop("detail", words) or "no"
    return refused(detail if isinstance(detail, str) else words or "no", status, body or None)


def acceptance(call: Call, row: JournalEntry) -> Answer:
    """Return the 202 that accepts a call."""
    headers = headers_of(call, row.reply)
    answer = accepted(body_of((call,), row.reply)) if row.reply else accepted
    return replace(answer, headers=headers) if headers else answer


def doubt(row: JournalEntry, *, acts: bool) -> Answer:
    """Return an answer that leaves the call in doubt. acts: the participant is taken to have done it."""
    status = row.status_code
    if status is None or status < _REDIRECT:
        return lost if acts else unheard
    if status == _SERVER_ERROR and not acts:
        return failed
    words = _words(row)
    body = row.reply if isinstance(row.reply, Mapping) else {"detail": words} if words else {}
    return replies(status, body, acts=acts)


def deferral(row: JournalEntry, *, acts: bool) -> Answer:
    """Return the answer to a call that was not sent, or whose participant asked to wait."""
    status = row.status_code
    if status is None:
        return down
    if status == _UNAVAILABLE:
        return replace(busy(), acts=acts)
    # A 404 is a refusal when its body is an object, so a body of another kind stands for a page of a proxy.
    body = row.reply if row.reply is not None else [] if status == _NOT_FOUND else {}
    return replies(status, body, acts=False)


def answered_later(call: Call, row: JournalEntry) -> Answer:
    """Return the later answer to an accepted call."""
    return success(call, row) if row.trigger == Outcome.SUCCEEDED else refusal(call, row)


def _words(row: JournalEntry) -> str:
    """Return the participant's words in the reason of a row."""
    return str(row.reason or "").partition(_ADDED)[0].removeprefix(str(row.status_code)).strip()


def body_of(calls: tuple[Call, ...], reply: Any) -> Any:
    """Return the body of the reply of which this is stored. calls: the call, and others that keep the same names."""
    if not any(call.keeps for call in calls):
        return reply
    body: dict[str, Any] = {}
    for kept, value in _kept(calls, reply):
        if not kept.header:
            put(body, parts(kept.source), deepcopy(value))
        elif kept.otherwise:
            put(body, parts(kept.otherwise), deepcopy(value))
    return body


def headers_of(call: Call, reply: Any) -> dict[str, str]:
    """Return the headers of the reply of which this is stored, where the call keeps values of headers."""
    found = [(kept, value) for kept, value in _kept((call,), reply) if kept.header and value is not None]
    return {kept.source: f"/{value}" if kept.last_segment else str(value) for kept, value in found}


def _kept(calls: tuple[Call, ...], reply: Any) -> list[tuple[Kept, Any]]:
    """Return the declaration of each value that is stored of a reply, and the value."""
    found = []
    for call in calls:
        for name, declared in call.keeps.items():
            try:
                found.append((kept_of(name, declared), within(reply, parts(name))))
            except (LookupError, TypeError):
                continue
    return found


def _meant(call: Call) -> dict[str, Any]:
    """Return a body that means a refusal by one of its fields; the journal does not keep the body of a refusal."""
    body: dict[str, Any] = {}
    for path, meanings in call.means.items():
        refusing = (
            [value for value, outcome in meanings.items() if outcome == Outcome.REFUSED]
            if isinstance(meanings, Mapping)
            else []
        )
        if isinstance(path, str) and refusing:
            put(body, parts(path), refusing[0])
            break
    return body


def outcomes_of(call: Call) -> list[str]:
    """Return every outcome that the call's `means=` names."""
    each = [meant if isinstance(meant, Mapping) else {None: meant} for meant in call.means.values()]
    return [outcome for meanings in each for outcome in meanings.values()]
