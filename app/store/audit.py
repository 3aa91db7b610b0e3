"""The audit trail: who did what, why, and what it changed. The hashes of its rows form a chain.

    hash = SHA-256(the row as JSON, keys sorted, without blanks, ASCII only, with `previous` and without `hash`)

`previous` is the hash of the row before, so a changed, removed or inserted row breaks the chain. A row is appended in
the transaction of the change that it records. That transaction locks `audit_head`, so several writers extend one chain.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Row, Select, func, insert, select, update
from sqlalchemy import Engine as Database

from app.store.database import db_now
from app.store.models import AuditHeadRow, AuditRow
from app.store.transactions import atomic

_AUDIT, _HEAD = AuditRow.__table__, AuditHeadRow.__table__
_log = structlog.get_logger("audit")
#: `previous` of the first row of the trail, which has no row before it.
GENESIS = "0" * 64
#: Largest number of rows that `verify` reads at a time, to bound its memory.
_BATCH = 1000


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
    #: Number of the first row that was changed, removed or inserted; None: there is no such row.
    broken: int | None = None
    #: What is wrong with the row `broken`.
    why: str = ""


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
    row["hash"] = seal(row)
    connection.execute(insert(_AUDIT), row)
    connection.execute(update(_HEAD).values(seq=row["seq"], hash=row["hash"]))
    # The log is kept outside the database, so it also exposes a trail whose rows were all written again.
    _log.info("audit.appended", seq=row["seq"], hash=row["hash"], action=entry.action)


def record(database: Database, entry: Entry) -> None:
    """Append a row about an event that changed nothing in the database, such as a refused sign-in."""
    with atomic(database) as connection:
        append(connection, entry)


def seal(row: Mapping[str, Any]) -> str:
    content = {name: _plain(value) for name, value in row.items() if name != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def as_json(row: Row[Any]) -> dict[str, Any]:
    """Return a row as JSON values: all columns as `seal` hashes them, and the hash."""
    return {name: _plain(value) for name, value in row._mapping.items()}  # noqa: SLF001  its public name


def verify(database: Database, newest: int | None = None) -> Verdict:
    """Check every row, or only the `newest` last rows. Also check that the head names the last row."""
    with database.connect() as connection:
        head = connection.execute(select(_HEAD, select(func.max(_AUDIT.c.seq)).scalar_subquery().label("last"))).one()
        first = 1 if newest is None else max(1, head.seq - newest + 1)
        verdict = Verdict(rows=0, seq=first - 1, hash=_hash_of(connection, first - 1))
        while verdict.seq < head.seq and verdict.broken is None:
            rows = connection.execute(_following(verdict.seq, head.seq)).mappings().all()
            verdict = _checked(verdict, rows)
        if verdict.broken is None and (verdict.seq, verdict.hash) != (head.seq, head.hash):
            return _broken(verdict, head.seq, "it is not the row that the head of the trail names")
        if verdict.broken is None and (head.last or 0) > head.seq:
            return _broken(verdict, head.seq + 1, "it comes after the row that the head of the trail names")
        return verdict


def _following(seq: int, last: int) -> Select[Any]:
    # Read only up to the head as it was at the start of the check, because others append rows during the check.
    return select(_AUDIT).where(_AUDIT.c.seq > seq, _AUDIT.c.seq <= last).order_by(_AUDIT.c.seq).limit(_BATCH)


def _checked(verdict: Verdict, rows: Iterable[Mapping[Any, Any]]) -> Verdict:
    count, seq, last = verdict.rows, verdict.seq, verdict.hash
    for row in rows:
        content = dict(row)
        found = Verdict(rows=count, seq=seq, hash=last)
        if content["seq"] != seq + 1:
            return _broken(found, seq + 1, "it is missing")
        if content["previous"] != last:
            return _broken(found, seq + 1, "it does not name the hash of the row before")
        if content["hash"] != seal(content):
            return _broken(found, seq + 1, "its content is not what its hash was made of")
        count, seq, last = count + 1, content["seq"], content["hash"]
    if count == verdict.rows:
        return _broken(verdict, seq + 1, "it is missing")
    return Verdict(rows=count, seq=seq, hash=last)


def _broken(verdict: Verdict, seq: int, why: str) -> Verdict:
    return Verdict(rows=verdict.rows, seq=verdict.seq, hash=verdict.hash, broken=seq, why=why)


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
    database: Database, *, limit: int, before: int | None = None, saga_id: UUID | None = None, actor: str | None = None
) -> Sequence[Row[Any]]:
    """Return rows, the newest first. before: only rows with a smaller seq."""
    query = select(_AUDIT).order_by(_AUDIT.c.seq.desc()).limit(limit)
    for column, value in ((_AUDIT.c.saga_id, saga_id), (_AUDIT.c.actor, actor)):
        query = query if value is None else query.where(column == value)
    with database.connect() as connection:
        return connection.execute(query if before is None else query.where(_AUDIT.c.seq < before)).all()
