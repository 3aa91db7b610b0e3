"""An overlay: texts and styles for the states and edges of a picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from machines.transitions import Transition

#: An edge by (source, trigger, dest), as in the journal.
EdgeKey = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """What is drawn over a picture."""

    title: str
    headline: tuple[str, ...] = ()  # lines under the title
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # additional lines in a state's box, by state
    notes: Mapping[EdgeKey, str] = field(default_factory=dict)  # text after an edge's trigger
    states: Mapping[str, str] = field(default_factory=dict)  # CSS classes of a state
    edges: Mapping[EdgeKey, str] = field(default_factory=dict)  # CSS classes of an edge
    footer: tuple[str, ...] = ()  # lines under the picture


def edge_key(row: Transition) -> EdgeKey:
    return row.source, str(row.trigger), row.dest
