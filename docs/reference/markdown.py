"""Pieces of Markdown that every reference page needs."""

from collections.abc import Iterable, Sequence

WRITTEN = "<!-- Written by `make openapi`: change the code, not this page. -->\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, or an empty text when there are no rows."""
    lines = [f"| {' | '.join(map(cell, row))} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines, ""])


def cell(text: str) -> str:
    """Return the text of one cell: one line, and no bar that would end the cell."""
    return " ".join(text.replace("|", "\\|").split())
