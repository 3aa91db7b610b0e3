"""The audit trail: who did what, why, and what it changed. The hashes of its rows form a chain.

    hash = SHA-256(the row as JSON, keys sorted, without blanks, ASCII only, with `previous` and without `hash`)

With AUDIT_KEY, the hash is an HMAC-SHA-256 with this key, which the database does not have: who can write to the
database can then change no row and seal the chain again. `app.store.audit_anchors` finds rows that were cut off.

`previous` is the hash of the row before, so a changed, removed or inserted row breaks the chain. A row is appended in
the transaction of the change that it records. That transaction locks `audit_head`, so several writers extend one chain.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Row, Select, func, insert, or_, select, update
from sqlalchemy import Engine as Database

from app.derived_keys import derived_key
from app.store.access_models import AuditHeadRow, AuditRow
from app.store.database import db_now
from app.store.saga_ids import id_conditions
from app.store.transactions import atomic

_AUDIT, _HEAD = AuditRow.__table__, AuditHeadRow.__table__
_log = structlog.get_logger("audit")
#: `previous` of the first row of the trail, which has no row before it.
GENESIS = "0" * 64
#: Name of the option of the database engine that holds AUDIT_KEY.
_KEY = "saga_audit_key"
#: Largest number of rows that `verify` reads at a time. A row keeps up to 64 KiB of a discarded message, and 24 pages
#: that read 1,000 such rows at a time ended a replica of 448 MB.
_BATCH = 100
_UNKEYED = "not sealed with AUDIT_KEY"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row to append. `AuditRow` describes the columns."""

    actor: str
    action: str
    saga_id: UUID | None = None
    target: str | None = None
    reason: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of a check of the trail."""

    #: Number of rows checked.
    rows: int
    #: Number of the last intact row.
    seq: int
    #: Hash of the last intact row.
    hash: str
    #: Number of the first row that is sealed with AUDIT_KEY; None: no row is.
    keyed: int | None = None
    #: Number of the first row that was changed, removed or inserted; None: there is no such row.
    broken: int | None = None
    #: What is wrong with the row `broken`.
    why: str = ""


def use_key(database: Database, key: str | None) -> None:
    """Seal the rows that are written through this engine with AUDIT_KEY."""
    if key:
        database.update_execution_options(**{_KEY: derived_key(key, b"audit")})


def audit_key(database: Database) -> bytes | None:
    """Return the key that seals rows; None without AUDIT_KEY."""
    found: bytes | None = database.get_execution_options().get(_KEY)
    return found


def head_of(database: Database) -> tuple[int, str]:
    """Return the number and the hash of the last row."""
    with database.connect() as connection:
        head = connection.execute(select(_HEAD)).one()
    return head.seq, head.hash


def has_acted(connection: Connection, actor: str) -> bool:
    """Return True when the trail has an action of this principal."""
    return connection.execute(select(_AUDIT.c.seq).where(_AUDIT.c.actor == actor).limit(1)).first() is not None


def append(connection: Connection, entry: Entry) -> None:
    """Append a row in the connection's open transaction. Other writers wait until the transaction ends."""
    head = connection.execute(select(_HEAD).with_for_update()).one()
    row = {
        "seq": head.seq + 1,
        "at": connection.execute(select(db_now())).scalar_one(),
        "actor": entry.actor,
        "action": entry.action,
        "saga_id": entry.saga_id,
        "target": entry.target,
        "reason": entry.reason,
        "before": entry.before,
        "after": entry.after,
        "previous": head.hash,
    }
    row["hash"] = seal(row, connection.get_execution_options().get(_KEY))
    connection.execute(insert(_AUDIT), row)
    connection.execute(update(_HEAD).values(seq=row["seq"], hash=row["hash"]))
    # The log is kept outside the database, so it also exposes a trail whose rows were all written again.
    _log.info("audit.appended", seq=row["seq"], hash=row["hash"], action=entry.action)


def record(database: Database, entry: Entry) -> None:
    """Append a row about an event that changed nothing in the database, such as a refused sign-in."""
    with atomic(database) as connection:
        append(connection, entry)


def seal(row: Mapping[str, Any], key: bytes | None = None) -> str:
    """Return the hash of a row. key: the key of the HMAC; None: without a key, as before AUDIT_KEY was set."""
    content = {name: _plain(value) for name, value in row.items() if name != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.digest(key, text.encode(), "sha256").hex() if key else hashlib.sha256(text.encode()).hexdigest()


def as_json(row: Row[Any]) -> dict[str, Any]:
    """Return a row as JSON values: all columns as `seal` hashes them, and the hash."""
    return {name: _plain(value) for name, value in row._mapping.items()}  # noqa: SLF001  its public name


def verify(database: Database, newest: int | None = None) -> Verdict:
    """Check every row, or only the `newest` last rows. Also check that the head names the last row.

    With AUDIT_KEY, the last row and every row after a keyed one must be sealed with it.
    """
    key = audit_key(database)
    with database.connect() as connection:
        head = connection.execute(select(_HEAD, select(func.max(_AUDIT.c.seq)).scalar_subquery().label("last"))).one()
        first = 1 if newest is None else max(1, head.seq - newest + 1)
        verdict = Verdict(rows=0, seq=first - 1, hash=_hash_of(connection, first - 1))
        while verdict.seq < head.seq and verdict.broken is None:
            rows = connection.execute(_following(verdict.seq, head.seq)).mappings().all()
            verdict = _checked(verdict, rows, key)
        if verdict.broken is None and (verdict.seq, verdict.hash) != (head.seq, head.hash):
            return _broken(verdict, head.seq, "it is not the row that the head of the trail names")
        if verdict.broken is None and (head.last or 0) > head.seq:
            return _broken(verdict, head.seq + 1, "it comes after the row that the head of the trail names")
        if verdict.broken is None and key and verdict.rows and verdict.keyed is None:
            return _broken(verdict, head.seq, f"it is {_UNKEYED}; if the key is new, run `saga audit seal` first")
        return verdict


def _following(seq: int, last: int) -> Select[Any]:
    # Read only up to the head as it was at the start of the check, because others append rows during the check.
    return select(_AUDIT).where(_AUDIT.c.seq > seq, _AUDIT.c.seq <= last).order_by(_AUDIT.c.seq).limit(_BATCH)


def _checked(verdict: Verdict, rows: Iterable[Mapping[Any, Any]], key: bytes | None) -> Verdict:
    found = verdict
    for row in rows:
        content, seq = dict(row), found.seq + 1
        if content["seq"] != seq:
            return _broken(found, seq, "it is missing")
        if content["previous"] != found.hash:
            return _broken(found, seq, "it does not name the hash of the row before")
        keyed = key is not None and content["hash"] == seal(content, key)
        if not keyed and content["hash"] != seal(content):
            return _broken(found, seq, "its content is not what its hash was made of")
        if not keyed and found.keyed:
            return _broken(found, seq, f"it is {_UNKEYED}, and rows before it are")
        first = found.keyed or (seq if keyed else None)
        found = Verdict(rows=found.rows + 1, seq=seq, hash=content["hash"], keyed=first)
    return _broken(verdict, verdict.seq + 1, "it is missing") if found is verdict else found


def _broken(verdict: Verdict, seq: int, why: str) -> Verdict:
    return replace(verdict, broken=seq, why=why)


def _hash_of(connection: Connection, seq: int) -> str:
    found = connection.execute(select(_AUDIT.c.hash).where(_AUDIT.c.seq == seq)).scalar_one_or_none()
    return found or GENESIS


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case UUID():
            return str(value)
        case _:
            return value


def page(
    database: Database, *, limit: int, before: int | None = None, saga_id: UUID | None = None,
    saga_digits: str | None = None, actors: Sequence[str] = (),
) -> Sequence[Row[Any]]:  # fmt: skip
    """Return rows, the newest first.

    before: only rows with a smaller seq. saga_id: of this saga. saga_digits: of sagas whose ids begin or
    end so. actors: of any of these.
    """
    query = select(_AUDIT).order_by(_AUDIT.c.seq.desc()).limit(limit)
    conditions = (
        _AUDIT.c.saga_id == saga_id if saga_id is not None else None,
        or_(*id_conditions(_AUDIT.c.saga_id, saga_digits)) if saga_digits is not None else None,
        _AUDIT.c.actor.in_(actors) if actors else None,
        _AUDIT.c.seq < before if before is not None else None,
    )
    query = query.where(*(condition for condition in conditions if condition is not None))
    with database.connect() as connection:
        return connection.execute(query).all()


def newest_of(database: Database, saga_id: UUID, action: str) -> Row[Any] | None:
    """Return the newest row of a saga with this action, or None."""
    query = select(_AUDIT).where(_AUDIT.c.saga_id == saga_id, _AUDIT.c.action == action)
    with database.connect() as connection:
        return connection.execute(query.order_by(_AUDIT.c.seq.desc()).limit(1)).one_or_none()
