"""`saga prune` and `saga export`: delete ended sagas, and write journals to a file."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import click

from app.cli.arguments import Number
from app.cli.group import saga
from app.engine.idempotency import as_sent
from app.errors import MalformedError
from app.services import services
from app.store import months, old_months, partitions, queries, request_keys, retention
from app.store.database import db
from app.store.models import SagaRow
from app.store.months import Month
from app.values import written
from app.views.masking import shown
from app.views.saga_json import move_json, parent_json

#: Number of sagas that are read, archived and deleted together.
BATCH = 500


@saga.command("prune")
@click.option("--days", type=Number(min=0, min_open=True), required=True, help="Sagas that ended before.")
@click.option("--archive", type=click.Path(path_type=Path), help="Append their journals to this file first.")
@click.option("--dry-run", is_flag=True, help="Print the size of the next batch, and delete nothing.")
@click.option("--limit", type=click.IntRange(1), help="Largest number of sagas to delete.")
@click.option(
    "--keys-days",
    type=Number(min=0, min_open=True),
    help="Idempotency-Keys of sagas that started before are free again, and no others.",
)
def prune(*, days: float, archive: Path | None, dry_run: bool, limit: int | None, keys_days: float | None) -> None:
    """Delete finished sagas and their journals, the oldest first, a batch at a time.

    A saga that is not finished, or whose events are not published yet, is never deleted. After a deletion, the
    Idempotency-Key of the saga can be used again; with --keys-days, the age of the key alone decides. The sagas that a
    saga has started are deleted with it, and it stays while one of them stays; --limit does not count them. Bulk jobs
    that ended before are deleted, too; the audit trail keeps their starts. Where the tables are partitioned (`saga
    partition`), a month is dropped when it is old as a whole, unless there is a --limit.
    """
    if dry_run:
        found = len(retention.ended_before(days, min(limit or BATCH, BATCH)))
        click.echo(f"{found}{' or more' if found == BATCH else ''} would be deleted")
        return
    deleted, left = 0, limit
    if limit is None:
        deleted += _drop_months(days, archive, keys_days)
    while rows := retention.ended_before(days, BATCH if left is None else min(BATCH, left)):
        if archive:
            _append(archive, rows)
        deleted += retention.delete_ended([row.id for row in rows], keys_days)
        click.echo(f"{deleted} deleted …", err=True)
        left = None if left is None else left - len(rows)
        if left == 0:
            break
    click.echo(f"{deleted} deleted")
    if keys_days is not None:
        click.echo(f"{sum(request_keys.free_old(db.engine, keys_days))} Idempotency-Keys are free again")
    if orphans := retention.delete_orphans():
        click.echo(f"{orphans} events of sagas that somebody else deleted are deleted")
    jobs, removed = 0, 1
    while removed:
        removed = services().bulk_jobs.store.remove_old(days)
        jobs += removed
    if jobs:
        click.echo(f"{jobs} bulk jobs deleted")


def _drop_months(days: float, archive: Path | None, keys_days: float | None) -> int:
    """Make the partitions of the next months, and drop those that are old. Return the number of deleted sagas."""
    months.make_ahead(db.engine)

    def append(month: Month) -> None:
        if archive:
            for rows in retention.sagas_of(month, BATCH):
                _append(archive, rows)

    total = 0
    for month, number in old_months.drop_old(db.engine, days, append, keys_days):
        total += number
        click.echo(f"{total} deleted … ({month.start:%Y-%m} is dropped)", err=True)
    return total


@saga.command("partition")
def partition() -> None:
    """Partition the tables of sagas and journals by month (PostgreSQL), so that old months are dropped.

    Replicas go on; each waits for the tables once, for some milliseconds. There is no way back but a restored backup.
    Run it as the owner of the tables, when all processes are upgraded. Run it again to make the next months at once.
    """
    if not partitions.partition(db.engine):
        click.echo("the tables are partitioned already", err=True)
    months.make_ahead(db.engine)
    with db.engine.connect() as connection:
        there = months.months(connection)
    named = ", ".join(f"{month.start:%Y-%m}" for month in there)
    click.echo(f"partitions: {named or 'none yet'}; all other sagas are in the default partition")


@saga.command("export")
def export() -> None:
    """Write every journal as JSON lines, one line per move, the oldest saga first.

    The sagas that a saga has started follow it. The first line of each of them has its parent.
    """
    out = sys.stdout.buffer
    for rows in retention.all_sagas(BATCH):
        _write(out, rows)


def _append(archive: Path, rows: Sequence[SagaRow]) -> None:
    """Append the journals and return when they are on disk, because the sagas are deleted next."""
    try:
        # A new file is for its owner alone, whatever the umask is.
        with os.fdopen(os.open(archive, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as file:
            for part in retention.trees(rows, BATCH):
                _write(file, part)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise MalformedError(f"--archive: {archive}: {error.strerror}; nothing of this batch was deleted") from None


def _write(out: BinaryIO, rows: Sequence[SagaRow]) -> None:
    out.writelines(_lines(rows))


def _lines(rows: Sequence[SagaRow]) -> Iterator[bytes]:
    journals = queries.journals([row.id for row in rows])
    for saga_row in rows:
        row, journal = shown(services().registry, saga_row, journals[saga_row.id])
        of_saga = {"saga_id": str(row.id), "saga": row.definition, "version": row.definition_version}
        of_first = {"data": row.data, "idempotency_key": as_sent(row.idempotency_key), "started_by": row.started_by}
        if row.parent_id is not None:
            of_first["parent"] = parent_json(row)
        for move in journal:
            line = of_saga | move_json(move) | (of_first if move.source is None else {})
            yield written(line) + b"\n"
