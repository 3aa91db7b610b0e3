"""`saga webhooks`: list the messages to webhooks that were not delivered, send them again, discard them."""

from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text
from sqlalchemy import Row

from app.cli.arguments import actor_named, actor_option, reason_from, reason_option, saga_with_id
from app.cli.group import SagaGroup, saga
from app.cli.output import Column, Line, cell, draw, grid, printable, screen, write_json
from app.errors import MalformedError
from app.events import webhook_letters
from app.services import services
from app.store.saga_ids import short_id
from app.views.formatting import moment

_COLUMNS = (
    Column(title="NO", right=True),
    Column(title="AT (UTC)"),
    Column(title="WEBHOOK", gives_way=True),
    Column(title="EVENT"),
    Column(title="SAGA"),
    Column(title="STATUS"),
    Column(title="TRIES", right=True),
)


@saga.group("webhooks", cls=SagaGroup)
def webhooks() -> None:
    """List messages to webhooks that were not delivered, and send them again."""


@webhooks.command("list")
@click.option("--saga", "saga_id", metavar="ID", help="All messages about this saga, delivered ones too.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line.")
def list_messages(saga_id: str | None, as_json: bool) -> None:
    """List the dead letters, the oldest first."""
    rows = services().deliveries.of_saga(saga_with_id(saga_id).id) if saga_id else webhook_letters.dead()
    if as_json:
        for row in rows:
            write_json(webhook_letters.as_json(row))
        return
    console = screen()
    draw(_list_of(rows, console.width), on=console)


@webhooks.command("redeliver")
@click.argument("numbers", nargs=-1, type=int, metavar="[NO]...")
@click.option("--all", "everything", is_flag=True, help="All dead letters that `saga webhooks list` shows.")
@reason_option
@actor_option
def redeliver(numbers: Sequence[int], *, everything: bool, reason: str, actor: str | None) -> None:
    """Send messages again: dead letters, and messages that were delivered. Each message keeps its id."""
    if everything == bool(numbers):
        raise MalformedError("NO: name messages by their numbers, or all dead letters by --all")
    by, why = actor_named(actor), reason_from(reason)
    for number in numbers or [row.id for row in webhook_letters.dead()]:
        found = webhook_letters.redeliver(number, by, why)
        click.echo(f"{number}: sent again to {found.webhook}, by the next process of the service that looks")


@webhooks.command("discard")
@click.argument("number", type=int, metavar="NO")
@reason_option
@actor_option
def discard(number: int, reason: str, actor: str | None) -> None:
    """Delete a dead letter. The audit trail keeps its event, address and last error."""
    webhook_letters.discard(number, actor_named(actor), reason_from(reason))
    click.echo(f"{number}: discarded")


def _list_of(rows: Sequence[Row[Any]], width: int) -> Iterator[RenderableType]:
    if not rows:
        yield Text("There are no such messages.")
        return
    yield from grid(_COLUMNS, [_line(row) for row in rows], width)


def _line(row: Row[Any]) -> Line:
    error = f"{row.url}: {row.error}" if row.error else None
    return Line(
        cells=(
            cell(str(row.id)),
            cell(moment(row.at)),
            cell(printable(row.webhook)),
            cell(row.event),
            cell(short_id(row.saga_id)),
            cell(webhook_letters.status_of(row)),
            cell(str(row.attempts)),
        ),
        note=Text(printable(error), style="dim", no_wrap=True, overflow="ellipsis") if error else None,
    )
