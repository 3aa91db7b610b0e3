"""What a reply means. Every reply has one of four outcomes, and this is the one place where it is decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.values import one_line

#: The participant understood and did nothing. Every other status that is not a success leaves it open.
REFUSALS = frozenset({400, 401, 402, 403, 404, 409, 410, 412, 422})


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back. status: None when no answer was read. sent: False when nothing left this process.
    impossible: nor ever will, for the call cannot be made.

    body: the JSON object, None when it could not be understood. unreadable: why not, as a short phrase that follows
    "200, but ", such as "text/plain is no JSON object". error: why there is no answer, in one line.
    retry_after_s: what the participant asks for. duration_ms: from sending to the last byte.
    """

    status: int | None = None
    body: Mapping[str, Any] | None = None
    unreadable: str = ""
    error: str = ""
    sent: bool = True
    impossible: bool = False
    retry_after_s: float = 0.0
    duration_ms: float = 0.0

    @property
    def reason(self) -> str:
        """Return in one short line what the participant said."""
        return one_line(self._words)

    @property
    def _words(self) -> str:
        if self.status is None:
            return self.error
        if self.unreadable:
            return f"{self.status}, but {self.unreadable}"
        body = self.body or {}
        said = body.get("detail") or body.get("title") or body.get("error") or body.get("message") or ""
        return f"{self.status} {said}".strip()


def outcome_of(reply: Reply, needed: frozenset[str]) -> Outcome:
    """Decide; `needed` are the fields without which a success cannot be understood."""
    if reply.impossible or reply.status in REFUSALS:
        return Outcome.REFUSED
    if not reply.sent:
        return Outcome.NOT_SENT
    succeeded = reply.status is not None and 200 <= reply.status < 300  # noqa: PLR2004
    if succeeded and reply.body is not None and needed <= reply.body.keys():
        return Outcome.SUCCEEDED
    return Outcome.UNKNOWN
