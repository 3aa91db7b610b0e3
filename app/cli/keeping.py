"""`saga prune` and `saga export`: what becomes of sagas that have ended."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import click

from app.cli.group import saga
from app.engine.keys import as_sent
from app.errors import MalformedError
from app.store import queries, retention
from app.store.models import SagaRow
from app.values import written
from app.views.saga_json import move_json

BATCH = 500


@saga.command("prune")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), required=True, help="Those that ended before.")
@click.option("--archive", type=click.Path(path_type=Path), help="Append their journals to this file first.")
@click.option("--dry-run", is_flag=True, help="Say how many the next batch holds, and delete nothing.")
@click.option("--limit", type=click.IntRange(1), help="Stop after so many.")
def prune(*, days: float, archive: Path | None, dry_run: bool, limit: int | None) -> None:
    """Delete finished sagas and their journals, the oldest first, a batch at a time.

    One that is not finished, or whose events are still to be published, is never deleted. The Idempotency-Key of one
    that is deleted is free again.
    """
    if dry_run:
        found = len(retention.ended_before(days, min(limit or BATCH, BATCH)))
        click.echo(f"{found}{' or more' if found == BATCH else ''} would be deleted")
        return
    gone = 0
    while rows := retention.ended_before(days, min(BATCH, limit - gone) if limit else BATCH):
        if archive:
            _append(archive, rows)
        gone += retention.forget([row.id for row in rows])
        click.echo(f"{gone} deleted …", err=True)
        if gone == limit:
            break
    click.echo(f"{gone} deleted")


@saga.command("export")
def export() -> None:
    """Write every journal as JSON lines, one a move, the oldest saga first."""
    out = sys.stdout.buffer
    for rows in retention.every(BATCH):
        _write(out, rows)


def _append(archive: Path, rows: Sequence[SagaRow]) -> None:
    """Return when the file has them for good, for then they are deleted."""
    try:
        with archive.open("ab") as file:
            _write(file, rows)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise MalformedError(f"--archive: {archive}: {error.strerror}; nothing of this batch was deleted") from None


def _write(out: BinaryIO, rows: Sequence[SagaRow]) -> None:
    out.writelines(_lines(rows))


def _lines(rows: Sequence[SagaRow]) -> Iterator[bytes]:
    journals = queries.journals([row.id for row in rows])
    for row in rows:
        whose = {"saga_id": str(row.id), "saga": row.definition, "version": row.definition_version}
        first = {"data": row.data, "idempotency_key": as_sent(row.idempotency_key), "started_by": row.started_by}
        for move in journals[row.id]:
            line = whose | move_json(move) | (first if move.source is None else {})
            yield written(line) + b"\n"
