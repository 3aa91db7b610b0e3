"""What the search of one table knows of its children and of its parent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from machines.groups import StoredChild
from machines.registry import Registry
from machines.statuses import Status
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
    #: False: no child gets stuck, so nobody acts on one by hand.
    stuck: bool = True

    def stages_of(self, kin: Kin) -> "Stages":
        return self.stages[kin.definition, kin.version]

    def born(self, table: TableKey, step: str, place: int) -> Stage:
        """Return the stage of a new child."""
        if (step, place) in self.idle:
            return self.stages[table].completed
        found = self.stages[table].born
        over = {stage for stage in found if stage.status == Status.COMPLETED}
        chosen = over if (step, place) in self.born_finished else found - over
        return min(chosen or found)


class SeenChildren:
    """The children that one process sees."""

    def __init__(self, loop: "ModelLoop") -> None:
        self._loop = loop
        self._seen: dict[UUID, Kin] = {}

    def of(self, _parent: UUID, step: str) -> Sequence[StoredChild]:
        """Return the children that a step of the saga has started, in the order of their numbers.

        Those that were replaced are among them.
        """
        kin = self._loop.ask("kin", step)
        replaced = [each._replace(again=0, stage=Stage(Status.COMPENSATED)) for each in kin if each.again]
        return sorted(map(self._stored, (*replaced, *kin)), key=lambda child: child.child_number)

    def replies(self, children: Sequence[UUID]) -> Mapping[UUID, Any]:
        """Return for each child the reply of each of its steps that succeeded."""
        kinship = self._loop.machinery.kinship
        return {child: kinship.stages_of(self._seen[child]).replies_of(self._seen[child].stage) for child in children}

    def _stored(self, kin: Kin) -> StoredChild:
        found = stored(self._loop.machinery.kinship, kin)
        self._seen[found.id] = kin
        return found


def stored(kinship: Kinship, kin: Kin) -> StoredChild:
    """Return a child as it is stored."""
    number = kin.again or kin.number
    return StoredChild(
        id=UUID(int=number), definition=kin.definition, definition_version=kin.version, child_number=number,
        state=kinship.stages_of(kin).state_of(kin.stage), status=kin.stage.status,
    )  # fmt: skip
