"""`saga replay`: run a saga's journal again in memory, write it as a test, and change one outcome."""

from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import RenderableType
from rich.text import Text

from app.cli.arguments import saga_with_id
from app.cli.group import FAULT, saga
from app.cli.output import Column, Line, cell, draw, grid, printable, screen, write_json
from app.errors import MalformedError
from app.services import services
from app.views.replay import Pair, Replay, WhatIf, replay_json, replayed, side_by_side


@saga.command("replay")
@click.argument("saga_id", metavar="ID")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the test to a file, not to stdout.")
@click.option("--redact", is_flag=True, help="Replace texts, numbers, dates and ids; the same value by the same one.")
@click.option(
    "--what-if",
    metavar="CALL=OUTCOME",
    help="Change one outcome, such as pay=refused, 'undo pay=lost' or 'signal release=never'.",
)
@click.option("--table-version", type=click.IntRange(1), help="Replay by this version; by the saga's own by default.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object, as the API does.")
def replay(
    *, saga_id: str, out: Path | None, redact: bool, what_if: str | None, table_version: int | None, as_json: bool
) -> None:
    """Write a saga's journal as a test, and say if the present table goes the same way.

    Nothing is called and nothing is stored: the saga runs in memory. With --what-if, the two ways stand side by side,
    and the test is written only to --out.

    \b
    Exit code 1: the present table goes another way than the journal.
    """  # noqa: D301  click needs the backspace character
    row = saga_with_id(saga_id)
    try:
        found = replayed(services().registry, row, what_if=what_if, redact=redact, version=table_version)
    except MalformedError as error:
        raise MalformedError(_as_option(error.detail)) from None
    if out is not None:
        _write(out, found.test)
    if as_json:
        write_json(replay_json(found))
    else:
        if out is None and what_if is None:
            click.echo(found.test, nl=False)
        for line in _verdict(found):
            click.echo(printable(line), err=out is None and what_if is None)
        if found.what_if is not None:
            console = screen()
            draw(_side_by_side(found, found.what_if, console.width), on=console)
    click.get_current_context().exit(FAULT if found.difference else 0)


def _as_option(detail: str) -> str:
    return f"--{detail}".replace("--what_if", "--what-if").replace("--version", "--table-version")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MalformedError(f"--out: {path} cannot be written: {error.strerror}") from None
    click.echo(str(path), err=True)


def _verdict(found: Replay) -> Iterator[str]:
    if found.difference is None:
        yield f"{found.table}: the present table goes the same way as the journal."
    else:
        yield f"{found.table}: the present table goes another way than the journal."
        yield f"first difference, {found.difference}"
    yield from (f"unknown: {note}" for note in found.unknown)


def _side_by_side(found: Replay, changed: WhatIf, width: int) -> Iterator[RenderableType]:
    yield Text()
    if changed.not_reached:
        yield Text(f"if {changed.change}: {changed.not_reached}, so nothing changes")
        return
    lines = [_line(pair) for pair in side_by_side(found.way, changed.way)]
    columns = (
        Column(title=""),
        Column(title="AS IT WAS", gives_way=True),
        Column(title=f"IF {changed.change}", gives_way=True),
    )
    yield from grid(columns, lines, width)
    if changed.way.error:
        yield Text(f"error: {printable(changed.way.error)}", style="red")
    if changed.assumed:
        yield Text(
            f"assumed to succeed, because the journal does not have them: {', '.join(changed.assumed)}", style="dim"
        )
    if changed.unused:
        yield Text(f"in the journal, and not used any more: {', '.join(changed.unused)}", style="dim")


def _line(pair: Pair) -> Line:
    style = "bold yellow" if pair.differs else ""
    return Line(cells=(cell(pair.what, "dim"), cell(printable(pair.then), style), cell(printable(pair.now), style)))
