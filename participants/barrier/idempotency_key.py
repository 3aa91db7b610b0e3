"""The idempotency key of a request of Flask."""

from dataclasses import dataclass
from typing import Self

from flask import request

from .problem import Problem
from .rules import Direction, Key

HEADER = "Idempotency-Key"


@dataclass(frozen=True, kw_only=True)
class IdempotencyKey(Key):
    @classmethod
    def of_request(cls, direction: Direction) -> Self:
        """Read the key from the request's header. Raise Problem when the header is not a key of this direction."""
        found = cls.parse(request.headers.get(HEADER, ""), direction)
        if found is None:
            raise Problem(400, "Bad idempotency key", f"{HEADER} must be <saga id>/<step>/{direction}")
        return found
