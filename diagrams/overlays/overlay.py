"""What is laid over a picture of a table: words and looks for its states and edges."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from machines.rows import Row

#: An edge, as the journal names it: source, trigger, dest.
Key = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What is drawn over a diagram.

    headline: lines under the title. lines: more lines in a state's box. notes: words after an edge's trigger.
    states, edges: classes of the style sheet. footer: lines under the picture.
    """

    title: str
    headline: tuple[str, ...] = ()
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: Mapping[Key, str] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    edges: Mapping[Key, str] = field(default_factory=dict)
    footer: tuple[str, ...] = ()


def key_of(row: Row) -> Key:
    return row.source, str(row.trigger), row.dest
