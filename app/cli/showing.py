"""`saga show` and `saga watch`."""

import time
from datetime import UTC, datetime
from uuid import UUID

import click

from app.cli import drawing
from app.cli.finding import definition_of, found
from app.cli.group import ENDS, saga
from app.cli.screen import draw, screen, write_json
from app.cli.seconds import Seconds
from app.services import services
from app.store import queries
from app.store.database import db
from app.store.instance import FINISHED
from app.store.models import JournalRow
from app.views.saga_json import move_json, whole_json


@saga.command("show")
@click.argument("saga_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, as the API gives it.")
def show(saga_id: str, as_json: bool) -> None:
    """Draw one saga, its path and its journal.

    \b
    ✓ done    ● under way    ○ to come    ✗ failed    ↩ undone    ! stuck
    Below the point of no return it only goes forward.
    """  # noqa: D301  click wants the character
    row = found(saga_id)
    journal = queries.journal(row.id)
    if as_json:
        write_json(whole_json(services().registry, row, journal))
        return
    console = screen()
    draw(drawing.whole(definition_of(row), row, journal, console.width, datetime.now(UTC)), on=console)


@saga.command("watch")
@click.argument("saga_id", metavar="ID")
@click.option("--interval", type=Seconds(0.05, 3600), default=0.5, show_default=True, help="Seconds between looks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a move, as the API's journal has it.")
def watch(saga_id: str, interval: float, as_json: bool) -> None:
    """Follow a saga's journal until it ends or is stuck."""
    row = found(saga_id)
    console, definition, seen = screen(), definition_of(row), 0
    if not as_json:
        draw(drawing.header(definition, row, console.width, datetime.now(UTC)), on=console)
    while True:
        status, new = _news(row.id, seen)
        if as_json:
            for move in new:
                write_json(move_json(move))
        elif new:
            draw(drawing.moves(new, console.width, head=seen == 0), on=console)
        seen = new[-1].seq if new else seen
        if status in (*FINISHED, "stuck"):
            break
        time.sleep(interval)
    if not as_json:
        draw([drawing.headline(found(saga_id))], on=console)
    click.get_current_context().exit(ENDS[status])


def _news(saga_id: UUID, seen: int) -> tuple[str, list[JournalRow]]:
    """Look anew: the status first, so that the journal holds at least every move up to it."""
    db.session.remove()
    row = queries.find(saga_id)
    assert row is not None, "sagas are not deleted"
    status = row.status
    return status, [move for move in queries.journal(saga_id) if move.seq > seen]
