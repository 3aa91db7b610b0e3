"""`saga audit`: what people did, and whether the trail that tells it is whole."""

from collections.abc import Iterator
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text
from sqlalchemy import Row

from app.cli.finding import found
from app.cli.grid import Column, Line, cell, grid
from app.cli.group import FAULT, SagaGroup, saga
from app.cli.screen import draw, screen, write_json
from app.cli.words import printable
from app.store import audit
from app.store.database import db

_COLUMNS = (
    Column(title="NO", right=True),
    Column(title="AT"),
    Column(title="WHO", gives_way=True),
    Column(title="WHAT"),
    Column(title="ON", gives_way=True),
)
_LARGEST = 1000


@saga.group("audit", cls=SagaGroup)
def trail() -> None:
    """Read the audit trail, and check that nobody has touched it."""


@trail.command("list")
@click.option("--saga", "saga_id", metavar="ID", help="What was done to this saga.")
@click.option("--actor", metavar="WHO", help="What was done by user:NAME, key:NAME or cli:NAME.")
@click.option("--limit", type=click.IntRange(1, _LARGEST), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_rows(saga_id: str | None, actor: str | None, limit: int, as_json: bool) -> None:
    """List what people did, the newest first."""
    of_saga = found(saga_id).id if saga_id else None
    rows = audit.page(db.engine, limit=limit, saga_id=of_saga, actor=actor)
    if as_json:
        for row in rows:
            write_json(audit.told(row))
        return
    console = screen()
    draw(_listed(rows, console.width), on=console)


@trail.command("verify")
def verify() -> None:
    """Check every row. Exit code 1 and the first row that is not as it was written, or the last row's hash.

    Who notes that hash elsewhere will know a trail that was written anew as a whole.
    """
    verdict = audit.verify(db.engine)
    if verdict.broken is not None:
        click.echo(f"saga: the audit trail is broken at row {verdict.broken}: {verdict.why}", err=True)
        click.get_current_context().exit(FAULT)
    click.echo(f"{verdict.rows} rows, each as it was written; the last one's hash is {verdict.hash}")


def _listed(rows: Any, width: int) -> Iterator[RenderableType]:
    if not rows:
        yield Text("Nothing of the kind was done.")
        return
    yield from grid(_COLUMNS, [_line(row) for row in rows], width)


def _line(row: Row[Any]) -> Line:
    on = f"{row.target or ''} {str(row.saga_id)[:8] if row.saga_id else ''}".strip()
    return Line(
        cells=(
            cell(str(row.seq)),
            cell(f"{row.at:%F %T}"),
            cell(printable(row.actor)),
            cell(row.action),
            cell(printable(on)),
        ),
        note=Text(printable(row.reason), style="dim", no_wrap=True, overflow="ellipsis") if row.reason else None,
    )
