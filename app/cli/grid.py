"""Lines in columns, each with room for a note of the full width below it, which no table of rich has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

_GAP = 2
_NARROWEST = 8


@dataclass(frozen=True, kw_only=True)
class Column:
    """least: its width at least. gives_way: it is cut where the lines would be too wide."""

    title: str = ""
    right: bool = False
    gives_way: bool = False
    least: int = 0


@dataclass(frozen=True, kw_only=True)
class Line:
    cells: tuple[Text, ...]
    note: Text | None = None


def cell(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True)


def grid(
    columns: Sequence[Column], lines: Sequence[Line], width: int, *, head: bool = True, indent: int = 0
) -> Iterator[RenderableType]:
    """Lay out lines below their titles; notes begin below the second column."""
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
