"""The idempotency key of a call: the saga, the step, and the direction (do or undo)."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from flask import request

from .problem import Problem

HEADER = "Idempotency-Key"
_NAME = "[A-Za-z0-9._:~-]{1,100}"
_KEY = re.compile(f"({_NAME})/({_NAME})/(do|undo)")


class Direction(StrEnum):
    DO = "do"
    UNDO = "undo"


@dataclass(frozen=True, kw_only=True)
class IdempotencyKey:
    saga_id: str
    step: str
    direction: Direction

    def __str__(self) -> str:
        return f"{self.saga_id}/{self.step}/{self.direction}"

    @property
    def of_action(self) -> Self:
        """The key of the action that an undo reverses."""
        return type(self)(saga_id=self.saga_id, step=self.step, direction=Direction.DO)

    @classmethod
    def of_request(cls, direction: Direction) -> Self:
        """Read the key from the request's header. Raise Problem when the header is not a key of this direction."""
        found = _KEY.fullmatch(request.headers.get(HEADER, ""))
        if found is None or found[3] != direction:
            raise Problem(400, "Bad idempotency key", f"{HEADER} must be <saga id>/<step>/{direction}")
        return cls(saga_id=found[1], step=found[2], direction=direction)
