"""Goes the path of a counterexample again, for the test that `saga verify` writes.

The path is written in the sentences of `machines.verify.words`. At each of them only the events with this sentence are
followed. So the test fails while the fault is there; when it is repaired, the saga does not go this way any more, or
nothing is broken at its end.
"""

from collections.abc import Iterator, Sequence

from machines.registry import Registry
from machines.saga import Saga
from machines.verify.design import acceptable, flaws
from machines.verify.events import Edge
from machines.verify.properties import Broken
from machines.verify.proving import Proofs
from machines.verify.sayable import check_sayable
from machines.verify.search import Search
from machines.verify.words import SENTENCES, sentence
from machines.verify.world import World


def follow(
    definition: Saga, *path: str, registry: Registry | None = None, as_child: bool = False, repeats_from: int = 0,
    design: bool = False,
) -> str | None:  # fmt: skip
    """Go a path. Return why a property does not hold at its end; None: all hold, or the saga does not go this way.

    registry: all tables; default: this one alone. as_child: the table is that of a child, whose parent may ask it to
    compensate. repeats_from: number of the sentence from which the events repeat for ever; 0: they do not. design: the
    path is that of a flaw in the design, which the table has or does not have; nothing is searched.

    Raise UnsayableError for a sentence that no path of the table can have, such as one that names a state which the
    table does not have: then the test is to be written again.
    """
    registry, as_child = registry or Registry([definition]), as_child or definition.is_branch
    check_sayable(definition, registry, path, design=design)
    if design:
        return next((each.why for each in flaws(definition, registry) if each.path == path), None)
    order = Proofs(registry).order(definition)
    children = [table for table, of_child in order if of_child and table is not definition]
    proofs = Proofs(registry, accepted=[flaw for table in children for flaw in acceptable(table, registry)])
    for table in children:
        proofs.prove(table, as_child=True)
    for search in proofs.searches(definition, as_child=as_child):
        found = next(_Way(search, path, repeats_from).broken(), None)
        if found is not None:
            return found
    return None


class _Way:
    """A path through one search."""

    def __init__(self, search: Search, path: Sequence[str], repeats_from: int) -> None:
        self._search, self._path, self._repeats_from = search, path, repeats_from

    def broken(self) -> Iterator[str]:
        """Yield why a property does not hold on the path, or at its end."""
        worlds, first = set(self._search.moves.starts()), set[World]()
        wrong_start = self._search.moves.wrong_start
        if wrong_start is not None and list(self._path) == [SENTENCES["inserted"]]:
            yield wrong_start.why
        for number, said in enumerate(self._path, 1):
            first = worlds if number == self._repeats_from else first
            try:
                edges = [edge for world in worlds for edge in self._edges(world, said, number)]
            except Exception as error:  # noqa: BLE001  whatever the engine raises is the fault
                yield f"{type(error).__name__}: {error}"
                return
            worlds = {edge.world for edge in edges}
            found = [*(edge.broken for edge in edges), *map(self._search.moves.properties.of, worlds)]
            yield from (each.why for each in found if each is not None and self._counts(each, number))
        if self._repeats_from:
            yield from ("the saga goes round for ever" for _ in worlds & first)
        else:
            yield from (why for world in worlds if (why := self._search.why_not_alive(world)))

    def _edges(self, world: World, said: str, number: int) -> Iterator[Edge]:
        lasts = bool(self._repeats_from) and number >= self._repeats_from
        for edge in self._search.moves.of(world):
            if sentence(edge.event) == said and (edge.forever or not lasts):
                yield edge

    def _counts(self, broken: Broken, number: int) -> bool:
        """Return True for a fault, and for a risk at the end of the path."""
        return not broken.risk or number == len(self._path)
