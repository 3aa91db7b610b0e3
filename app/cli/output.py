"""The output of every command: the terminal, JSON lines, lines in columns, and the marks of steps and sagas.

Every colour comes with a word or a symbol, so that the output is clear without colours.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import click
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from app.values import written
from machines.statuses import Status

#: Width of the output in characters when it goes to a pipe or a file: no line of a list is as wide, so none is cut.
_PIPE_WIDTH = 10_000
#: Spaces between two columns, and smallest width of a column that is cut, in characters.
_GAP, _NARROWEST = 2, 8
#: Width of the terminal, in characters, from which lines of moves have titles beside the identifiers.
TITLED_FROM = 140


class _Screen(Console):
    """The console; it reports a reader that has ended, where rich would end the process with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def screen() -> Console:
    """Return the console for drawings; without colour when stdout is no terminal."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # a terminal without ✓ shows ?; each symbol has a word beside it
    terminal = sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))
    plain = bool(os.environ.get("NO_COLOR")) or not terminal
    width = None if terminal or "COLUMNS" in os.environ else _PIPE_WIDTH
    return _Screen(color_system=None if plain else "auto", highlight=False, markup=False, emoji=False, width=width)


def draw(*drawings: Iterable[RenderableType], on: Console | None = None) -> None:
    console = on or screen()
    for drawing in drawings:
        for item in drawing:
            console.print(item)


def write_json(document: object) -> None:
    """Write a document as one line of JSON."""
    click.echo(written(document))


def printable(text: str) -> str:
    """Return a text of a participant or a client as one line that cannot control the terminal."""
    return "".join(character if character.isprintable() else "�" for character in " ".join(text.split()))


@dataclass(frozen=True)
class Look:
    symbol: str
    style: str


class Mark(Enum):
    """The mark of a step, as a symbol and a style."""

    DONE = Look("✓", "green")
    CURRENT = Look("●", "bold cyan")
    TO_COME = Look("○", "dim")
    FAILED = Look("✗", "bold red")
    UNDONE = Look("↩", "magenta")
    STUCK = Look("!", "bold white on red")
    SKIPPED = Look("»", "dim")


#: Status of a saga → its mark, as a symbol and a style.
STATUS_LOOKS: Mapping[str, Look] = {
    Status.PENDING: Look("○", "dim"),
    Status.RUNNING: Look("●", "cyan"),
    Status.COMPENSATING: Look("↩", "yellow"),
    Status.WAITING: Look("◷", "cyan"),
    Status.STUCK: Look("!", "bold red"),
    Status.COMPLETED: Look("✓", "green"),
    Status.COMPENSATED: Look("■", "magenta"),
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a grid."""

    title: str = ""
    right: bool = False
    #: True: when the lines are too wide for the terminal, this column is made narrower and its texts are cut.
    gives_way: bool = False
    #: Smallest width in characters.
    least: int = 0


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a grid, and an optional note below the line, which can use the full width.

    The tables of the package rich have no such notes.
    """

    cells: tuple[Text, ...]
    note: Text | None = None


def cell(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True)


def grid(
    columns: Sequence[Column], lines: Sequence[Line], width: int, *, head: bool = True, indent: int = 0
) -> Iterator[RenderableType]:
    """Return the lines in columns, below the titles of the columns. The note of a line starts in the second column."""
    titles = [cell(column.title, "dim") for column in columns]
    rows = [titles, *(line.cells for line in lines)]
    wanted = [max(column.least, *(row[n].cell_len for row in rows)) for n, column in enumerate(columns)]
    widths = _fitting(columns, wanted, width - indent)
    if head:
        yield _row(columns, titles, widths, indent)
    for line in lines:
        yield _row(columns, line.cells, widths, indent)
        if line.note:
            yield Padding(line.note, (0, 0, 0, indent + widths[0] + _GAP), expand=False)


def _fitting(columns: Sequence[Column], wanted: list[int], width: int) -> list[int]:
    over = sum(wanted) + _GAP * (len(wanted) - 1) - width
    widths = list(wanted)
    while over > 0:
        shrinking = [n for n, column in enumerate(columns) if column.gives_way and widths[n] > _NARROWEST]
        if not shrinking:
            break
        widths[max(shrinking, key=lambda n: widths[n])] -= 1
        over -= 1
    return widths


def _row(columns: Sequence[Column], cells: Sequence[Text], widths: list[int], indent: int) -> Text:
    row = Text(" " * indent, no_wrap=True, overflow="ellipsis")
    for number, (column, text, width) in enumerate(zip(columns, cells, widths, strict=True)):
        fitted = text.copy()
        fitted.truncate(width, overflow="ellipsis")
        fitted.align("right" if column.right else "left", width)
        row.append(" " * _GAP if number else "").append(fitted)
    row.rstrip()
    return row
