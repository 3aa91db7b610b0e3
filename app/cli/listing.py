"""`saga list`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import click
from rich.console import RenderableType
from rich.text import Text

from app.cli.grid import Column, Line, cell, grid
from app.cli.group import saga
from app.cli.screen import draw, screen, write_json
from app.cli.words import STATUS_LOOKS, printable
from app.errors import MalformedError
from app.services import services
from app.store import queries
from app.store.instance import FINISHED
from app.store.models import SagaRow
from app.views.filters import LARGEST_PAGE
from app.views.formatting import age
from app.views.saga_json import line_json
from machines.registry import Registry
from machines.statuses import SAGA_STATUSES

_COLUMNS = (
    Column(title="ID"),
    Column(title="TYPE", gives_way=True),
    Column(title="STATUS"),
    Column(title="STATE", gives_way=True),
    Column(title="CLIENT", gives_way=True),
    Column(title="AGE", right=True),
)
#: What fits beside the rest into 80 columns, and is enough to tell sagas apart.
_SHORT_ID = 8
_WIDE = 120


@saga.command("list")
@click.option("--type", "definition", metavar="TYPE", help="Sagas of this definition.")
@click.option("--status", type=click.Choice(list(SAGA_STATUSES)), help="Sagas that have come to this.")
@click.option("--state", help="Sagas in this state of their table.")
@click.option("--client", help="Sagas of this client.")
@click.option("--store", help="Sagas of this store.")
@click.option("--stuck", is_flag=True, help="Sagas that wait for a person: --status stuck.")
@click.option("--unknown", is_flag=True, help="Unfinished sagas whose table this release does not have.")
@click.option("--limit", type=click.IntRange(1, LARGEST_PAGE), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as the API gives them.")
def list_sagas(
    *, definition: str | None, status: str | None, state: str | None, client: str | None, store: str | None,
    stuck: bool, unknown: bool, limit: int, as_json: bool,
) -> None:  # fmt: skip
    """List sagas, the newest first."""
    if stuck and status not in (None, "stuck"):
        raise MalformedError(f"--stuck and --status {status} exclude each other; leave one out")
    wanted = queries.Filter(
        definitions=(definition,) if definition else (),
        statuses=("stuck",) if stuck else (status,) if status else (),
        states=(state,) if state else (),
        client=client,
        store=store,
        unknown_to=services().registry if unknown else None,
    )
    page = queries.page(wanted, limit=limit)
    if as_json:
        journals = queries.journals([row.id for row in page.sagas], replies_of=())
        for row in page.sagas:
            write_json(line_json(services().registry, row, journals[row.id]))
        return
    console = screen()
    draw(listed(services().registry, page.sagas, page.total, console.width, datetime.now(UTC)), on=console)


def listed(
    known: Registry, sagas: Sequence[SagaRow], total: int, width: int, now: datetime
) -> Iterator[RenderableType]:
    if not sagas:
        yield Text("No saga is like that.")
        return
    yield from grid(_COLUMNS, [_line(known, row, now, width) for row in sagas], width)
    if total > len(sagas):
        at_least = "at least " if total >= queries.LARGEST_TOTAL else ""
        yield Text(f"The newest {len(sagas)} of {at_least}{total:,}; --limit shows more.", style="dim")


def _line(known: Registry, row: SagaRow, now: datetime, width: int) -> Line:
    look = STATUS_LOOKS[row.status]
    error = printable(row.error or "") if row.status != "completed" else ""
    if row.status not in FINISHED and not known.knows(row):
        error = f"{row.definition} v{row.definition_version}: its table is not in this release. {error}".rstrip()
    return Line(
        cells=(
            cell(str(row.id) if width >= _WIDE else str(row.id)[:_SHORT_ID], "bold"),
            cell(row.definition),
            cell(f"{look.symbol} {row.status}", look.style),
            cell(row.state),
            cell(printable(row.client or "")),
            cell(age((now - row.created_at).total_seconds())),
        ),
        note=Text(error, style="red", no_wrap=True, overflow="ellipsis") if error else None,
    )
