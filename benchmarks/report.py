"""What was measured: as a table on the terminal, and in its place in docs/performance.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"


@dataclass(frozen=True, kw_only=True)
class Table:
    """name: of its place in the document. head: of each column; the first is of words, the others of figures."""

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        wide = [max(len(row[place]) for row in (self.head, *self.rows)) for place in range(len(self.head))]
        lines = [
            self._line(self.head, wide),
            "|".join(["", "-" * (wide[0] + 2), *("-" * (w + 1) + ":" for w in wide[1:]), ""]),
        ]
        return "\n".join([*lines, *(self._line(row, wide) for row in self.rows)])

    @staticmethod
    def _line(cells: Sequence[str], wide: Sequence[int]) -> str:
        first, *rest = (
            cell.ljust(w) if not place else cell.rjust(w)
            for place, (cell, w) in enumerate(zip(cells, wide, strict=True))
        )
        return f"| {' | '.join([first, *rest])} |"

    def publish(self) -> None:
        """Put it into the document, between the two marks of its name."""
        text = DOCUMENT.read_text()
        begins, ends = f"<!-- {self.name} -->\n", f"<!-- /{self.name} -->"
        place = re.compile(f"{re.escape(begins)}.*?{re.escape(ends)}", re.DOTALL)
        if not place.search(text):
            raise ValueError(f"{DOCUMENT.name} has no {begins.strip()} … {ends}")
        DOCUMENT.write_text(place.sub(lambda _: f"{begins}{self}\n{ends}", text))
