"""The ids of sagas: UUIDs of version 7, so that they are ordered by the time of the start (ADR 44).

The first characters of such ids are alike. So people know a saga by the last ones (`short_id`). Ids of releases before
are random, and people may have noted their beginning, so a search finds both.
"""

import os
import time
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, cast, func

from app.store.database import id_end

#: Number of hexadecimal digits of a short id, as the pages and the command line show it.
SHORT = 8
_HEX_DIGITS = 32
_RANDOM_BYTES = 10
_TIME_SHIFT = 8 * _RANDOM_BYTES
_VARIANT_SHIFT, _VERSION_SHIFT = 62, 76


def new_id() -> UUID:
    """Return the id of a saga that starts now."""
    return _made(time.time_ns() // 1_000_000, 7)


def child_id(parent: UUID) -> UUID:
    """Return the id of a child of this saga: with the time, and so in the partition, of its parent.

    A unique index of one partition then keeps two children of one number apart. The child of a saga with a random id
    begins as that id does.
    """
    return _made(parent.int >> _TIME_SHIFT, parent.version or 7)


def short_id(saga_id: object) -> str:
    """Return the last SHORT digits of an id, which a search finds."""
    return str(saga_id)[-SHORT:]


def id_conditions(column: Any, digits: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions, each with an index of its own, for the ids that begin or end with these digits.

    Fewer than SHORT digits find beginnings only.
    """
    begins = column.between(UUID(digits.ljust(_HEX_DIGITS, "0")), UUID(digits.ljust(_HEX_DIGITS, "f")))
    if len(digits) < SHORT:
        return (begins,)
    whole = func.replace(cast(column, String), "-", "")
    return begins, and_(id_end(column) == digits[-SHORT:], whole.endswith(digits))


def is_named_by(saga_id: UUID, digits: str) -> bool:
    """Return True when `id_conditions` finds this id."""
    return saga_id.hex.startswith(digits) or (len(digits) >= SHORT and saga_id.hex.endswith(digits))


def _made(begins: int, version: int) -> UUID:
    """Return an id with these first 48 bits; all others are random, except version and variant."""
    drawn = int.from_bytes(os.urandom(_RANDOM_BYTES), "big")
    drawn = drawn & ~(0xF << _VERSION_SHIFT) & ~(0x3 << _VARIANT_SHIFT)
    return UUID(int=begins << _TIME_SHIFT | version << _VERSION_SHIFT | 0x2 << _VARIANT_SHIFT | drawn)


def first_id(moment: datetime) -> UUID:
    """Return the smallest id of a saga that starts at this time; ids of version 4 can be on both sides."""
    return UUID(int=int(moment.timestamp()) * 1000 << _TIME_SHIFT)
