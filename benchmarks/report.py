"""The tables of results: printed on the terminal, and written to docs/performance.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of results.

    name: the name in the markers `<!-- name -->` that enclose the table in the document.
    head: the column titles. The first column is left-aligned text, the others are right-aligned figures.
    """

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        widths = [max(len(row[column]) for row in (self.head, *self.rows)) for column in range(len(self.head))]
        lines = [
            self._line(self.head, widths),
            "|".join(["", "-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:]), ""]),
        ]
        return "\n".join([*lines, *(self._line(row, widths) for row in self.rows)])

    @staticmethod
    def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
        first, *rest = (
            cell.ljust(w) if not column else cell.rjust(w)
            for column, (cell, w) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *rest])} |"

    def publish(self) -> None:
        """Write the table into the document, between the two markers of its name."""
        text = DOCUMENT.read_text()
        begins, ends = f"<!-- {self.name} -->\n", f"<!-- /{self.name} -->"
        place = re.compile(f"{re.escape(begins)}.*?{re.escape(ends)}", re.DOTALL)
        if not place.search(text):
            raise ValueError(f"{DOCUMENT.name} has no {begins.strip()} … {ends}")
        DOCUMENT.write_text(place.sub(lambda _: f"{begins}{self}\n{ends}", text))
