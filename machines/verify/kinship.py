"""What the search of one table knows of its children and of its parent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from machines.families import Families
from machines.groups import Child, Missing, NewChild, StoredChild
from machines.registry import Registry
from machines.running import RunningSaga
from machines.statuses import Status
from machines.verify.distinct import distinct_kept, put
from machines.verify.world import Kin, Stage

if TYPE_CHECKING:
    from machines.verify.process import ModelLoop
    from machines.verify.stages import Stages

#: Name and version of a table.
TableKey = tuple[str, int]
#: Step, and the place of a child among those of the step, from 0.
Place = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class Kinship:
    """The tables and the small machines of the children, and what is learned of the searched table as a child."""

    #: All tables, with those of branches.
    registry: Registry = field(default_factory=lambda: Registry([]))
    #: The small machine of each table that the searched table starts.
    stages: Mapping[TableKey, "Stages"] = field(default_factory=dict)
    #: The small machine that the search fills, because the searched table is a child; None: it is no child.
    of_child: "Stages | None" = None
    #: Children that are inserted as finished, as step and place; every other child runs.
    born_finished: frozenset[Place] = frozenset()
    #: Branches that do nothing of their own: they are completed at once, and compensated as soon as they are asked.
    idle: frozenset[Place] = frozenset()
    #: Number of items of each list that each() goes through, and largest number of children at once where a table
    #: limits it.
    items: int = 2
    at_most: int = 1
    #: Step → values that its child has kept instead, by their paths in what the child keeps.
    kept: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: False: no child gets stuck, so nobody acts on one by hand.
    stuck: bool = True

    def stages_of(self, kin: Kin) -> "Stages":
        return self.stages[kin.definition, kin.version]

    def replies_of(self, kin: Kin) -> Mapping[str, Any]:
        """Return what a completed child has kept: step → its reply. No two children of a step keep the same."""
        stages = self.stages_of(kin)
        found: Mapping[str, Any] = stages.replies_of(kin.stage)
        for path, value in self.kept.get(kin.step, {}).items() if found else ():
            found = put(found, path, value)
        if kin.number == 1:
            return found
        steps = {step.name: step for step in stages.definition.steps}
        place = f"{kin.step}.{kin.number - 1}"
        return {name: distinct_kept(steps[name], reply, f"{place}.{name}") for name, reply in found.items()}

    def born(self, table: TableKey, step: str, place: int) -> Stage:
        """Return the stage of a new child."""
        if (step, place) in self.idle:
            return self.stages[table].completed
        found = self.stages[table].born
        over = {stage for stage in found if stage.status == Status.COMPLETED}
        chosen = over if (step, place) in self.born_finished else found - over
        return min(chosen or found)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """How a commit finds the children that it starts. Two that were prepared alike are equal."""

    #: Step that starts them, and the replies that the process knew, each with its number.
    step: str
    results: tuple[tuple[str, int], ...]
    missing: Missing = field(compare=False)

    def __call__(self, known: Sequence[Child], retried: bool) -> Sequence[NewChild]:
        return self.missing(known, retried)


@dataclass(frozen=True, kw_only=True)
class ModelFamilies(Families):
    """The families of one process. Its sagas know how their children were prepared."""

    #: Returns the replies that a saga knows, each with its number.
    numbered: Callable[[RunningSaga], tuple[tuple[str, int], ...]]

    def prepare(self, saga: RunningSaga) -> str | None:
        problem, missing = super().prepare(saga), saga.missing_children
        if missing is not None and not isinstance(missing, Prepared):
            assert saga.current.step is not None
            step, results = saga.current.step.name, self.numbered(saga)
            saga.missing_children = Prepared(step=step, results=results, missing=missing)
        return problem


class SeenChildren:
    """The children that one process sees."""

    def __init__(self, loop: "ModelLoop") -> None:
        self._loop = loop
        self._seen: dict[UUID, Kin] = {}

    def of(self, _parent: UUID, step: str) -> Sequence[StoredChild]:
        """Return the children that a step of the saga has started, in the order of their numbers.

        Those that were replaced are among them.
        """
        return [self._stored(kin) for kin in with_replaced(self._loop.ask("kin", step))]

    def replies(self, children: Sequence[UUID]) -> Mapping[UUID, Any]:
        """Return for each child the reply of each of its steps that succeeded."""
        return {child: self._loop.machinery.kinship.replies_of(self._seen[child]) for child in children}

    def _stored(self, kin: Kin) -> StoredChild:
        found = stored(self._loop.machinery.kinship, kin)
        self._seen[found.id] = kin
        return found


def with_replaced(kin: Sequence[Kin]) -> list[Kin]:
    """Return the children of a step and those that they have replaced, in the order of their numbers."""
    replaced = [each._replace(again=0, stage=Stage(Status.COMPENSATED)) for each in kin if each.again]
    return sorted((*replaced, *kin), key=lambda each: each.again or each.number)


def stored(kinship: Kinship, kin: Kin) -> StoredChild:
    """Return a child as it is stored."""
    number = kin.again or kin.number
    return StoredChild(
        id=UUID(int=number), definition=kin.definition, definition_version=kin.version, child_number=number,
        state=kinship.stages_of(kin).state_of(kin.stage), status=kin.stage.status,
    )  # fmt: skip
