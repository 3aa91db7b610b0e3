"""The small machine that stands for a child in the search of its parent.

A parent can tell only the status of a child, if it is stuck in a compensation, and what it has kept. So the search of
the child's table is divided into stages. What leads from one stage to another in that search is a move of the small
machine, so the small machine can do everything that the child can do.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from machines.history import replies
from machines.saga import Saga
from machines.statuses import Status
from machines.verify.world import Bodies, Fact, Row, Save, Stage, World

if TYPE_CHECKING:
    from machines.verify.machinery import Machinery


class ChildMove(NamedTuple):
    """A commit of a child that brings the child to another stage, or that its parent must learn of."""

    stage: Stage
    #: See `Save`.
    wakes: bool
    quiet: bool
    #: True: a person has made the move.
    by_hand: bool


class Stages:
    """The small machine of one table. The search of the table fills it."""

    def __init__(self, definition: Saga) -> None:
        self.definition = definition
        self.moves: dict[Stage, set[ChildMove]] = {}
        #: The stages in which a child is inserted: it runs, or it has ended, because all its steps were skipped.
        self.born: set[Stage] = set()
        self._replies = Bodies()
        self._states: dict[tuple[str, bool], str] = {}

    def insert(self, machinery: "Machinery", row: Row, facts: frozenset[Fact]) -> None:
        """Take over how a child is inserted."""
        self.born.add(self._stage(machinery, row, facts))

    def commit(self, machinery: "Machinery", before: World, save: Save, facts: frozenset[Fact]) -> None:
        """Take over a commit of the search. before: the state before; facts: those after the commit."""
        assert before.row is not None
        stage, after = self._stage(machinery, before.row, before.facts), self._stage(machinery, save.row, facts)
        if stage != after or save.wakes:
            by_hand = any(move.by_hand for move in save.moves)
            self.moves.setdefault(stage, set()).add(ChildMove(after, save.wakes, save.quiet, by_hand))

    @property
    def completed(self) -> Stage:
        """The stage of a child that is completed and was not asked to compensate."""
        ends = {move.stage for moves in self.moves.values() for move in moves} | self.born
        return min(stage for stage in ends if stage.status == Status.COMPLETED and not stage.goes_back)

    def replies_of(self, stage: Stage) -> Any:
        """Return what a completed child has kept: step → its reply."""
        return self._replies.value(stage.replies)

    def state_of(self, stage: Stage) -> str:
        """Return a state of the table that the stage stands for."""
        return self._states[stage.status, stage.undoes]

    def _stage(self, machinery: "Machinery", row: Row, facts: frozenset[Fact]) -> Stage:
        at = machinery.definition.states[row.state]
        # A child that waits goes forward, too. Nothing that a parent does distinguishes the two.
        status = Status.RUNNING if row.status == Status.WAITING else Status(row.status)
        stage = Stage(status, undoes=status is Status.STUCK and at.undoes, goes_back=row.goes_back)
        self._states.setdefault((stage.status, stage.undoes), row.state)
        if status is Status.COMPLETED:
            kept = replies(machinery.journal(facts))  # type: ignore[arg-type]
            stage = stage._replace(replies=self._replies.number(dict(sorted(kept.items()))))
        return stage
