"""Anchors of the audit trail: its head, written from time to time to a file outside the database.

A trail whose last rows were cut off is intact by itself: its rows and its head agree. The anchors show that the trail
was longer. Each line is a JSON object with `at`, `seq`, `hash`, and with AUDIT_KEY a `code`, an HMAC over these three.
"""

import hmac
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy import Engine as Database
from sqlalchemy import select

from app.store.access_models import AuditRow
from app.store.audit import audit_key, head_of

_AUDIT = AuditRow.__table__
_log = structlog.get_logger("audit")
#: Seconds between two anchors of one process.
EVERY_S = 3600.0


class Anchors:
    """Appends the head of the trail to a file when it has changed, at most once in EVERY_S seconds."""

    def __init__(self, database: Database, file: Path, clock: Callable[[], float]) -> None:
        self._database, self._file, self._clock = database, file, clock
        self._due_at, self._last = 0.0, 0

    def write_due(self) -> None:
        """Write an anchor if one is due. A file that cannot be written is logged, and stops nothing."""
        if self._clock() < self._due_at:
            return
        self._due_at = self._clock() + EVERY_S
        try:
            self._last = write_anchor(self._database, self._file, after=self._last)
        except OSError as error:
            _log.error("audit.not_anchored", file=str(self._file), error=error.strerror)


def write_anchor(database: Database, file: Path, after: int = 0) -> int:
    """Append the head of the trail to a file, unless it is the row `after`. Return the number of the last row."""
    seq, last_hash = head_of(database)
    if seq > after:
        anchor = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "seq": seq, "hash": last_hash}
        if key := audit_key(database):
            anchor["code"] = _code(anchor, key)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(anchor) + "\n")
    return seq


def problem_of_anchors(database: Database, lines: Iterable[str]) -> str | None:
    """Return how the trail differs from its anchors; None when each anchor names a row of the trail."""
    key = audit_key(database)
    with database.connect() as connection:
        for number, line in enumerate(lines, 1):
            try:
                anchor = json.loads(line)
                seq, last_hash = int(anchor["seq"]), str(anchor["hash"])
            except (ValueError, KeyError, TypeError):
                return f"line {number} of the anchors is no anchor"
            if key and not hmac.compare_digest(str(anchor.get("code")), _code(anchor, key)):
                return f"line {number} of the anchors was not written with this AUDIT_KEY"
            found = connection.execute(select(_AUDIT.c.hash).where(_AUDIT.c.seq == seq)).scalar_one_or_none()
            if found is None:
                return f"row {seq} is missing, which was the last one at {anchor.get('at')}: the end was cut off"
            if found != last_hash:
                return f"row {seq} is not the row that was the last one at {anchor.get('at')}: it was written again"
    return None


def _code(anchor: dict[str, object], key: bytes) -> str:
    text = f"{anchor.get('at')} {anchor['seq']} {anchor['hash']}"
    return hmac.digest(key, b"anchor" + text.encode(), "sha256").hex()
