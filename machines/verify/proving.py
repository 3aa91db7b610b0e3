"""The proof of one table: first of its children, and then of the table itself.

The search of a child's table also finds everything that its parent can see of it (`machines.verify.stages`). The search
of the parent takes this instead of the child.
"""

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from machines.branches import branch_name
from machines.registry import Registry
from machines.saga import Saga
from machines.statuses import FINISHED
from machines.step import Step
from machines.verify.deadlines import late_retries
from machines.verify.design import flaws
from machines.verify.kinship import Kinship, Place, TableKey
from machines.verify.meanings import UNTRUE
from machines.verify.properties import CAN_COMPLETE
from machines.verify.samples import data_of, kept_by_child
from machines.verify.search import MOST_STATES, Finding, Progress, Result, Search
from machines.verify.stages import Stages
from machines.verify.values import kept_of_reply

#: Number of branches of a group that do something of their own in one search.
_PAIR = 2


class NotExploredError(ValueError):
    """The table cannot be searched: it has too many conditions, or the search of a child was no proof."""


class Proofs:
    """The searches of tables. Each table is searched once as that of a child."""

    def __init__(
        self, registry: Registry, *, most_states: int = MOST_STATES, accepted: Collection[str] = (),
        reduced: bool = True,
    ) -> None:  # fmt: skip
        """See `verify`."""
        self._registry, self._most, self._accepted, self._reduced = registry, most_states, accepted, reduced
        self._stages: dict[TableKey, Stages] = {}

    def order(self, definition: Saga) -> list[tuple[Saga, bool]]:
        """Return the tables to search for a table, each as a child or not: its children come before it."""
        found: dict[TableKey, Saga] = {}
        self._collect(definition, found)
        own = [] if definition.is_branch else [(definition, False)]
        return [*((child, True) for child in found.values()), *own]

    def _collect(self, definition: Saga, found: dict[TableKey, Saga]) -> None:
        for _, child, _ in self._children(definition):
            if (child.name, child.version) not in found:
                self._collect(child, found)
                found[child.name, child.version] = child
        if definition.is_branch:
            found.setdefault((definition.name, definition.version), definition)

    def is_known(self, definition: Saga) -> bool:
        """Return True when the table was searched as that of a child, without a fault."""
        return (definition.name, definition.version) in self._stages

    def prove(
        self, definition: Saga, *, as_child: bool = False, data: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> Result:  # fmt: skip
        """Search a table whose children were searched before. Raise NotExploredError."""
        searches = self.searches(definition, as_child=as_child, data=data, progress=progress)
        whole = Result(definition=definition, as_child=as_child, notes=tuple(late_retries(definition)))
        whole.findings += self._flaws(definition)
        stages = unsent = None
        for search in searches:
            stages = search.moves.machinery.kinship.of_child
            result = search.run()
            unsent = unsent or search.unsent
            whole.add(result)
            if result.faults or not result.complete:
                break
        if definition.is_branch:  # its group decides if it can be compensated
            whole.unreached = tuple(each for each in whole.unreached if each != definition.compensated)
        if whole.complete and not whole.faults and definition.completed in whole.unreached:
            why = f"no path leads to {definition.completed}, unless a person resolves a step"
            found = Finding(broken=CAN_COMPLETE, why=why, path=())
            whole.findings.append(found if unsent is None else replace(unsent, why=f"{why}; {unsent.why}"))
        if stages is not None and whole.complete and not whole.faults:
            self._stages[definition.name, definition.version] = stages
        return whole

    def searches(
        self, definition: Saga, *, as_child: bool = False, data: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Search]:  # fmt: skip
        """Return the searches of a table: one for each data and each number of children. Raise NotExploredError.

        The children of the table were searched before.
        """
        kinship = self._kinship(definition, Stages(definition) if as_child else None)
        try:
            pairs = [
                (one, variant)
                for variant in self._variants(kinship, definition)
                for one in ([data] if data is not None else data_of(definition, variant.items))
            ]
        except OverflowError as error:
            raise NotExploredError(f"{definition}: {error}") from None
        accepted = [name.removeprefix(f"{UNTRUE}:") for name in self._accepted]
        return (
            Search(
                definition, one, self._most, progress, reduced=self._reduced, kinship=variant, accepted=accepted
            )
            for one, variant in pairs
        )  # fmt: skip

    def _flaws(self, definition: Saga) -> Iterator[Finding]:
        for flaw in flaws(definition, self._registry):
            found = Finding(
                broken=flaw.property, why=flaw.why, path=(), step=flaw.step, sentences=flaw.path, subject=flaw.subject
            )
            if found.name not in self._accepted:
                yield found

    def _kinship(self, definition: Saga, of_child: Stages | None) -> Kinship:
        for _, child, _ in self._children(definition):
            if not self.is_known(child):
                raise NotExploredError(f"{definition} is not searched, because the search of {child} is no proof")
        return Kinship(registry=self._registry, stages=self._stages, of_child=of_child)

    def _children(self, definition: Saga) -> Iterator[tuple[Step, Saga, int]]:
        """Yield each table that a table starts, with the step and the place among the branches."""
        for step in definition.steps:
            if step.group is not None:
                for place, branch in enumerate(step.group.branches):
                    name = branch_name(definition.name, step, branch)
                    yield step, self._registry.get(name, definition.version), place
            elif step.starts is not None:
                yield step, self._registry.latest(step.starts), 0

    def _variants(self, kinship: Kinship, definition: Saga) -> Iterator[Kinship]:
        """Yield what differs between the searches of a table: how many children it has, and which end at once."""
        pairs = [pair for step in definition.steps for pair in _pairs(step)] or [frozenset[Place]()]
        for idle in pairs:
            for chosen in itertools.product(*([None, place] for place in self._born_finished(kinship, definition))):
                yield replace(kinship, idle=idle, born_finished=frozenset(each for each in chosen if each is not None))
        for step, child, _ in self._children(definition):
            if step.group is None:
                stages = self._stages[child.name, child.version]
                kept = kept_of_reply(step.keeps, stages.replies_of(stages.completed), {})
                for values in kept_by_child(definition, step, {step.name: kept}):
                    yield replace(kinship, kept={step.name: values})
        limited = [step.name for step in definition.steps if step.group is not None and step.group.at_most is not None]
        if limited:  # an item ends, another one runs, and a third one is held back
            idle = frozenset((name, 2) for name in limited)
            yield replace(kinship, items=3, at_most=2, idle=idle, stuck=False)

    def _born_finished(self, kinship: Kinship, definition: Saga) -> Iterator[Place]:
        """Yield each child that may be inserted as finished or not: its conditions decide if it has a step to do."""
        for step, child, place in self._children(definition):
            born = {stage.status in FINISHED for stage in self._stages[child.name, child.version].born}
            if len(born) > 1:
                places = range(kinship.items) if step.group is not None and step.group.over is not None else [place]
                yield from ((step.name, each) for each in places)


def _pairs(step: Step) -> Iterator[frozenset[Place]]:
    """Yield for each two branches of a group the other ones."""
    branches = () if step.group is None else step.group.branches
    if len(branches) <= _PAIR:
        return
    for pair in itertools.combinations(range(len(branches)), _PAIR):
        yield frozenset((step.name, place) for place in range(len(branches)) if place not in pair)


def verify(
    definition: Saga,
    data: Mapping[str, Any] | None = None,
    *,
    registry: Registry | None = None,
    most_states: int = MOST_STATES,
    accepted: Collection[str] = (),
    progress: Progress | None = None,
    reduced: bool = True,
) -> Result:
    """Search every state of a table, after those of its children. The search ends at the first fault.

    registry: all tables; default: this one alone. accepted: names of flaws in the design that the author accepts, such
    as `stale read:price`. progress: called every _PROGRESS_EVERY states. reduced: states that nothing can distinguish
    are one; False is for the test of this.

    Return the result for the table, or that of the first child with a fault. Raise NotExploredError.
    """
    proofs = Proofs(registry or Registry([definition]), most_states=most_states, accepted=accepted, reduced=reduced)
    result = Result(definition=definition)
    for table, as_child in proofs.order(definition):
        own = table is definition and not as_child
        result = proofs.prove(table, as_child=as_child, data=data if own else None, progress=progress)
        if result.faults or not result.complete:
            break
    return result
