"""What a call was answered: kept in the ledger, so that a repeated call gets the very same."""

import json
from dataclasses import dataclass
from typing import Any

from flask import Response

from participants.problem import MEDIA_TYPE, Refused

#: What a view behind the barrier returns: a JSON object, with its status unless that is 200.
ViewResult = dict[str, Any] | tuple[dict[str, Any], int]


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    body: dict[str, Any]

    @classmethod
    def of_view(cls, result: ViewResult) -> "Reply":
        body, status = result if isinstance(result, tuple) else (result, 200)
        if not 200 <= status < 300:  # noqa: PLR2004
            # Returned, its effects would be kept.
            raise ValueError(f"a view behind the barrier answered {status}: it must raise Refused instead")
        return cls(status=status, body=body)

    @classmethod
    def of_refusal(cls, refusal: Refused) -> "Reply":
        return cls(status=refusal.status, body=refusal.document)

    def response(self, *, replayed: bool = False) -> Response:
        media_type = MEDIA_TYPE if self.status >= 400 else "application/json"  # noqa: PLR2004
        headers = {"Idempotent-Replayed": "true"} if replayed else {}
        return Response(json.dumps(self.body), self.status, headers, content_type=media_type)
