"""`saga audit`: list the audit trail, and verify that it is unchanged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click
from rich.console import RenderableType
from rich.text import Text
from sqlalchemy import Row

from app.cli.arguments import actor_named, saga_with_id
from app.cli.group import FAULT, SagaGroup, saga
from app.cli.output import Column, Line, cell, draw, grid, printable, screen, write_json
from app.store import audit
from app.store.audit_anchors import problem_of_anchors, write_anchor
from app.store.database import db
from app.store.saga_ids import short_id
from app.views.formatting import moment

_COLUMNS = (
    Column(title="NO", right=True),
    Column(title="AT (UTC)"),
    Column(title="WHO", gives_way=True),
    Column(title="WHAT"),
    Column(title="ON", gives_way=True),
)
#: Largest number of rows that `saga audit list` shows.
_LARGEST = 1000


@saga.group("audit", cls=SagaGroup)
def trail() -> None:
    """List the audit trail, and verify that it is unchanged."""


@trail.command("list")
@click.option("--saga", "saga_id", metavar="ID", help="Actions on this saga.")
@click.option("--actor", metavar="WHO", help="Actions of user:NAME, key:NAME or cli:NAME.")
@click.option("--limit", type=click.IntRange(1, _LARGEST), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line.")
def list_rows(saga_id: str | None, actor: str | None, limit: int, as_json: bool) -> None:
    """List the actions of people and programs, the newest first."""
    of_saga = saga_with_id(saga_id).id if saga_id else None
    rows = audit.page(db.engine, limit=limit, saga_id=of_saga, actors=(actor,) if actor else ())
    if as_json:
        for row in rows:
            write_json(audit.as_json(row))
        return
    console = screen()
    draw(_list_of(rows, console.width), on=console)


@trail.command("verify")
@click.option("--anchors", type=click.File(), metavar="FILE", help="Anchors, which `saga audit anchor` has written.")
def verify(anchors: TextIO | None) -> None:
    """Verify every row, and print the hash of the last row.

    Exit code 1: a row was changed; the message names the first such row. With anchors, rows that were cut off at the
    end are found, too. With AUDIT_KEY, rows that were sealed again without this key are found.
    """
    verdict = audit.verify(db.engine)
    if verdict.broken is not None:
        remedy = "" if audit.audit_key(db.engine) else "; if AUDIT_KEY seals the trail, set it here"
        _fail(f"the audit trail is broken at row {verdict.broken}: {verdict.why}{remedy}")
    if anchors and (problem := problem_of_anchors(db.engine, anchors)):
        _fail(f"the audit trail does not fit its anchors: {problem}")
    click.echo(f"{verdict.rows} rows, each as it was written; the last one's hash is {verdict.hash}")
    if verdict.keyed not in (None, 1):
        click.echo(f"rows before {verdict.keyed} were sealed without AUDIT_KEY", err=True)


@trail.command("anchor")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def anchor(file: Path) -> None:
    """Append the number and the hash of the last row to FILE, which should be outside the database's machine.

    For example: saga audit anchor /mnt/archive/saga-audit.jsonl
    """
    try:
        click.echo(f"row {write_anchor(db.engine, file)} is anchored in {file}")
    except OSError as error:
        raise click.UsageError(f"{file} cannot be written: {error.strerror}") from None


@trail.command("seal")
def seal() -> None:
    """Append a row that is sealed with a new AUDIT_KEY. From this row on, every row must be sealed with the key."""
    if audit.audit_key(db.engine) is None:
        raise click.UsageError("AUDIT_KEY is not set; set it here and in every process of the service")
    audit.record(db.engine, audit.Entry(actor=actor_named(), action="audit.seal"))
    click.echo("From now on, every row must be sealed with AUDIT_KEY.")


def _fail(problem: str) -> NoReturn:
    click.echo(f"saga: {problem}", err=True)
    click.get_current_context().exit(FAULT)


def _list_of(rows: Any, width: int) -> Iterator[RenderableType]:
    if not rows:
        yield Text("No actions match these filters.")
        return
    yield from grid(_COLUMNS, [_line(row) for row in rows], width)


def _line(row: Row[Any]) -> Line:
    on = f"{row.target or ''} {short_id(row.saga_id) if row.saga_id else ''}".strip()
    return Line(
        cells=(
            cell(str(row.seq)),
            cell(moment(row.at)),
            cell(printable(row.actor)),
            cell(row.action),
            cell(printable(on)),
        ),
        note=Text(printable(row.reason), style="dim", no_wrap=True, overflow="ellipsis") if row.reason else None,
    )
