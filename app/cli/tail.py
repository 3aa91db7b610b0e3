"""`saga tail`: the moves of many sagas as they are made."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import click
from sqlalchemy import Row

from app.cli.arguments import Seconds, filter_options, filters_from
from app.cli.group import saga
from app.cli.output import TITLED_FROM, Column, Line, cell, draw, grid, printable, screen, write_json
from app.services import services
from app.store import queries
from app.store.database import db
from app.store.lists import SagaFilter
from app.store.recent_moves import MOST_MOVES, moves_since
from app.store.saga_ids import short_id
from app.views.formatting import short_duration, time_of_day
from app.views.titles import known_table, saga_words, state_words_in, step_words_in
from machines.transitions import Direction

#: A move is committed after the time that it has, so each query reads the moves of these last seconds again.
_OVERLAP_S = 10.0
_COLUMNS = (
    Column(title="AT (UTC)", least=12),
    Column(title="ID", least=8),
    Column(title="TYPE", least=14, gives_way=True),
    Column(title="MOVE", least=30, gives_way=True),
    Column(title="NOW IN", least=24, gives_way=True),
    Column(title="TOOK", right=True, least=6),
)


@saga.command("tail")
@filter_options
@click.option(
    "--since", type=Seconds(0, 86_400), default=0, show_default=True, help="Also the moves of these last seconds."
)
@click.option("--interval", type=Seconds(0.05, 3600), default=1, show_default=True, help="Seconds between two reads.")
@click.option("--once", is_flag=True, help="Show the moves of --since and end.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per move.")
def tail(
    *, status: str | None, tags: tuple[str, ...], since: float, interval: float, once: bool, as_json: bool,
    **words: str | None,
) -> None:  # fmt: skip
    """Follow the moves of all sagas that match, until you interrupt it. `saga show` has the reasons and replies."""
    wanted = SagaFilter(
        statuses=(status,) if status else (),
        **filters_from(words, tags),
    )
    console, head = screen(), True
    for moves in _batches(wanted, since, interval, once=once):
        for move in moves if as_json else ():
            write_json(_as_json(move))
        if moves and not as_json:
            lines = [_line(move, titled=console.width >= TITLED_FROM) for move in moves]
            draw(grid(_COLUMNS, lines, console.width, head=head), on=console)
            head = False


def _batches(wanted: SagaFilter, since_s: float, interval: float, *, once: bool) -> Iterator[list[Row[Any]]]:
    """Yield the moves that were not yielded before; once: only those of the last seconds."""
    registry, seen = services().registry, dict[tuple[UUID, int], Any]()
    start = queries.now() - timedelta(seconds=since_s)
    from_time = start
    while True:
        found = moves_since(wanted, registry, max(start, from_time))
        new = [move for move in found if (move.saga_id, move.seq) not in seen]
        yield new
        seen |= {(move.saga_id, move.seq): move.at for move in new}
        if found:
            from_time = found[-1].at - timedelta(seconds=0 if len(found) == MOST_MOVES else _OVERLAP_S)
            seen = {key: at for key, at in seen.items() if at >= from_time}
        if len(found) == MOST_MOVES and new:
            continue
        if once:
            return
        db.session.remove()
        time.sleep(interval)


def _line(move: Row[Any], *, titled: bool) -> Line:
    """Return the line of a move. titled: the terminal has room for titles beside the identifiers."""
    undo, registry = "undo " if move.direction == Direction.UNDO else "", services().registry
    table = known_table(registry, move) if titled else None
    step = step_words_in(table, move.step) if move.step else ""
    return Line(
        cells=(
            cell(time_of_day(move.at), "dim"),
            cell(short_id(move.saga_id), "bold"),
            cell(saga_words(registry, move) if titled else move.definition),
            cell(f"{undo}{step} {move.trigger}" if step else printable(f"{move.trigger} by {move.actor}")),
            cell(state_words_in(table, move.dest)),
            cell(short_duration(move.duration_ms) if move.duration_ms is not None else "", "dim"),
        )
    )


def _as_json(move: Row[Any]) -> dict[str, object]:
    return {**move._mapping, "saga_id": str(move.saga_id), "at": move.at.isoformat()}  # noqa: SLF001  its public name
