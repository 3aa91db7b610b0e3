"""`saga audit`: list the audit trail, and verify that it is unchanged."""

from collections.abc import Iterator
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text
from sqlalchemy import Row

from app.cli.arguments import saga_with_id
from app.cli.group import FAULT, SagaGroup, saga
from app.cli.output import Column, Line, cell, draw, grid, printable, screen, write_json
from app.store import audit
from app.store.database import db

_COLUMNS = (
    Column(title="NO", right=True),
    Column(title="AT"),
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
    rows = audit.page(db.engine, limit=limit, saga_id=of_saga, actor=actor)
    if as_json:
        for row in rows:
            write_json(audit.as_json(row))
        return
    console = screen()
    draw(_list_of(rows, console.width), on=console)


@trail.command("verify")
def verify() -> None:
    """Verify every row, and print the hash of the last row.

    Exit code 1: a row was changed; the message names the first such row. If you keep the printed hash elsewhere, you
    can also detect that the whole trail was replaced.
    """
    verdict = audit.verify(db.engine)
    if verdict.broken is not None:
        click.echo(f"saga: the audit trail is broken at row {verdict.broken}: {verdict.why}", err=True)
        click.get_current_context().exit(FAULT)
    click.echo(f"{verdict.rows} rows, each as it was written; the last one's hash is {verdict.hash}")


def _list_of(rows: Any, width: int) -> Iterator[RenderableType]:
    if not rows:
        yield Text("No actions match these filters.")
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
