"""`saga list`, `saga show` and `saga watch`: the commands that read sagas and change nothing."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from uuid import UUID

import click
from rich.console import RenderableType
from rich.text import Text

from app.cli import drawing
from app.cli.arguments import Seconds, definition_of, filter_options, filter_words, saga_with_id
from app.cli.group import EXIT_CODES, saga
from app.cli.output import STATUS_LOOKS, Column, Line, cell, draw, grid, printable, screen, write_json
from app.cli.saga_path import known_now
from app.errors import MalformedError
from app.services import services
from app.store import lists, queries, retention
from app.store.database import db
from app.store.models import JournalRow, SagaRow
from app.store.saga_ids import short_id
from app.views.amounts import list_money
from app.views.child_rows import part_words
from app.views.formatting import age, moment
from app.views.masking import shown
from app.views.saga_filters import FilterWords, bounded, narrowed, shows_children
from app.views.saga_json import line_json, move_json, whole_json
from app.views.titles import error_words, known_table, saga_words, state_words
from app.views.validation import LARGEST_PAGE
from app.views.waits import family_of, sentences, state_of_saga, status_now, status_words
from machines.registry import Registry
from machines.statuses import FINISHED, Status

_COLUMNS = (
    Column(title="ID"),
    Column(title="TYPE", gives_way=True),
    Column(title="STATUS"),
    Column(title="STATE", gives_way=True),
    Column(title="CLIENT", gives_way=True),
    Column(title="AMOUNT", gives_way=True),
    Column(title="AGE", right=True),
)
#: Width of the terminal, in characters, from which a list shows whole ids.
_WIDE = 120
#: The most children of one step that have a line each in a tree. The others are counted.
_TREE_LINES = 20


@saga.command("list")
@filter_options
@click.option("--stuck", is_flag=True, help="Sagas that wait for a person: --status stuck.")
@click.option("--limit", type=click.IntRange(1, LARGEST_PAGE), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line, as the API does, and its money.")
def list_sagas(
    *, status: str | None, tags: tuple[str, ...], stuck: bool, limit: int, as_json: bool, **words: str | None,
) -> None:  # fmt: skip
    """List sagas, the newest first."""
    if stuck and status not in (None, Status.STUCK):
        raise MalformedError(f"--stuck and --status {status} exclude each other; leave one out")
    registry, query = services().registry, filter_words(FilterWords(), words, tags)
    wanted = lists.SagaFilter(
        statuses=(Status.STUCK,) if stuck else (status,) if status else (),
        roots=not (stuck or status == Status.STUCK or shows_children(query)),
        **narrowed(query),
    )
    wanted, searched_from = bounded(wanted)
    page = lists.page(wanted, registry, limit=limit)
    money = list_money(registry, page.sagas)
    if as_json:
        journals = queries.journals([row.id for row in page.sagas], replies_of=())
        for row in page.sagas:
            lines = [services().redact(line.words) for line in money.lines.get(row.id, ())]
            write_json(line_json(registry, row, journals[row.id]) | {"money": lines})
        return
    console = screen()
    waits = sentences(registry, page.sagas, services().pauses.names)
    amounts = {saga_id: "; ".join(line.words for line in lines) for saga_id, lines in money.lines.items()}
    drawn = list_of(registry, page.sagas, page.total, console.width, queries.now(), waits=waits, amounts=amounts)
    draw(drawn, on=console)
    if money.total and wanted.roots:
        click.echo(printable(f"Money of these sagas: {services().redact('; '.join(money.total))}"))
    if searched_from is not None:
        click.echo(
            f"Only sagas since {moment(searched_from)} UTC were looked at; --created-from and --created-to choose "
            "another time.",
            err=True,
        )


@saga.command("show")
@click.argument("saga_id", metavar="ID")
@click.option("--tree", is_flag=True, help="Draw the saga and the sagas that its steps have started, 20 of a step.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object, as the API does.")
def show(saga_id: str, tree: bool, as_json: bool) -> None:
    """Draw one saga, its path and its journal.

    \b
    ✓ done    ● under way    ○ to come    ✗ failed    ↩ undone    » skipped    ! stuck
    Below the point of no return a saga only goes forward.
    """  # noqa: D301  click needs the backspace character
    row = saga_with_id(saga_id)
    journal = queries.journal(row.id)
    family = family_of(definition_of(row), row)
    if as_json:
        write_json(whole_json(services().registry, row, journal, family))
        return
    if tree:
        draw(_tree_of(row), on=screen())
        return
    row, journal = shown(services().registry, row, journal)
    console, definition = screen(), definition_of(row)
    known = known_now(definition, row, journal)
    draw(drawing.whole(definition, row, journal, console.width, queries.now(), family, **known), on=console)


@saga.command("watch")
@click.argument("saga_id", metavar="ID")
@click.option("--interval", type=Seconds(0.05, 3600), default=0.5, show_default=True, help="Seconds between two reads.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per move, as in the API's journal.")
def watch(saga_id: str, interval: float, as_json: bool) -> None:
    """Follow a saga's journal until the saga ends or is stuck."""
    row = saga_with_id(saga_id)
    console, seen = screen(), 0
    if not as_json:
        row, journal = shown(services().registry, row, queries.journal(row.id))
        known = known_now(definition_of(row), row, journal)
        draw(drawing.header(definition_of(row), row, console.width, queries.now(), journal, **known), on=console)
    while True:
        status, new = _status_and_new_moves(row.id, seen)
        if as_json:
            for move in new:
                write_json(move_json(move))
        elif new:
            draw(drawing.moves(definition_of(row), new, console.width, head=seen == 0), on=console)
        seen = new[-1].seq if new else seen
        if status in (*FINISHED, Status.STUCK):
            break
        time.sleep(interval)
    if not as_json:
        row = saga_with_id(saga_id)
        draw([drawing.headline(definition_of(row), row)], on=console)
    click.get_current_context().exit(EXIT_CODES[status])


def _tree_of(row: SagaRow) -> Iterator[RenderableType]:
    """Draw a saga, and below it each saga of its tree, with the lines of a tree."""
    yield Text(_tree_line(row), no_wrap=True, overflow="ignore")
    below: dict[UUID | None, list[SagaRow]] = {}
    for child in retention.descendants([row.id]):
        below.setdefault(child.parent_id, []).append(child)
    yield from _branches_of(row.id, below, "")


def _branches_of(parent: UUID, below: Mapping[UUID | None, list[SagaRow]], indent: str) -> Iterator[Text]:
    """Draw the sagas below a saga, each with those below it. indent: the lines of the sagas around them."""
    lines: list[tuple[str, SagaRow | None]] = []
    for step, children in groupby(below.get(parent, ()), key=lambda child: child.parent_step):
        drawn, rest = _drawn(list(children))
        lines += [(f"{part_words(services().registry, child)}: {_tree_line(child)}", child) for child in drawn]
        lines += [(f"{step}: {rest}", None)] if rest else []
    for number, (line, child) in enumerate(lines, start=1):
        last = number == len(lines)
        yield Text(f"{indent}{'└' if last else '├'} {line}", no_wrap=True, overflow="ignore")
        if child is not None:
            yield from _branches_of(child.id, below, f"{indent}{' ' if last else '│'} ")


def _drawn(children: list[SagaRow]) -> tuple[list[SagaRow], str]:
    """Return the children of one step that have a line each, and the others in words; "" when all have one.

    Stuck children come before unfinished ones, and those before ended ones.
    """
    if len(children) <= _TREE_LINES:
        return children, ""
    urgent = sorted(children, key=lambda child: (child.status != Status.STUCK, child.status in FINISHED))
    counts = Counter(child.status for child in urgent[_TREE_LINES:])
    rest = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return urgent[:_TREE_LINES], f"{len(children) - _TREE_LINES} more of {len(children)}: {rest}"


def _tree_line(row: SagaRow) -> str:
    """Return a saga in one line."""
    registry = services().registry
    error, status = error_words(known_table(registry, row), row.error), status_words(state_of_saga(registry, row), row)
    name, state = saga_words(registry, row), state_words(registry, row)
    return printable(f"{name} {row.id} {status} {state}" + (f": {error}" if error else ""))


def list_of(
    registry: Registry, sagas: Sequence[SagaRow], total: int, width: int, now: datetime, *,
    waits: Mapping[UUID, str] = MappingProxyType({}), amounts: Mapping[UUID, str] = MappingProxyType({}),
) -> Iterator[RenderableType]:  # fmt: skip
    """Draw a list of sagas. total: the number of all sagas that match. waits: see `sentences`.

    amounts: saga → what is known of its money. No column without any.
    """
    if not sagas:
        yield Text("No sagas match these filters.")
        return
    columns = [column for column in _COLUMNS if amounts or column.title != "AMOUNT"]
    lines = [_line(registry, row, now, width, waits.get(row.id), amounts) for row in sagas]
    yield from grid(columns, lines, width)
    if total > len(sagas):
        at_least = "at least " if total >= lists.LARGEST_TOTAL else ""
        yield Text(f"The newest {len(sagas)} of {at_least}{total:,}; --limit shows more.", style="dim")


def _line(  # noqa: PLR0917
    registry: Registry, row: SagaRow, now: datetime, width: int, wait: str | None, amounts: Mapping[UUID, str]
) -> Line:
    at, name = state_of_saga(registry, row), saga_words(registry, row)
    look = STATUS_LOOKS[status_now(at, row)]
    error = printable(error_words(known_table(registry, row), row.error)) if row.status != Status.COMPLETED else ""
    if row.status not in FINISHED and not registry.knows(row):
        error = f"{name} v{row.definition_version}: its table is not in this release. {error}".rstrip()
    return Line(
        cells=(
            cell(str(row.id) if width >= _WIDE else short_id(row.id), "bold"),
            cell(f"{part_words(registry, row)}: {name}" if row.parent_id is not None else name),
            cell(f"{look.symbol} {status_words(at, row)}", look.style),
            cell(state_words(registry, row)),
            cell(printable(row.client or "")),
            *([cell(printable(services().redact(amounts.get(row.id, ""))))] if amounts else []),
            cell(age((now - row.created_at).total_seconds())),
        ),
        note=Text(error or printable(wait or ""), style="red" if error else "dim", no_wrap=True, overflow="ellipsis")
        if error or wait
        else None,
    )


def _status_and_new_moves(saga_id: UUID, seen: int) -> tuple[str, list[JournalRow]]:
    """Return the status of the saga, and its moves after the move number `seen`.

    The status is read first, so that the journal has at least every move up to this status.
    """
    db.session.remove()
    row = queries.find(saga_id)
    assert row is not None, "an unfinished saga is never deleted"
    status = row.status
    _, journal = shown(services().registry, row, queries.journal(saga_id))
    return status, [move for move in journal if move.seq > seen]
