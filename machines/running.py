"""A saga that runs: its state machine, its data, the replies so far, and the moves since its last commit."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any
from uuid import UUID

from transitions import EventData

from machines.branches import BranchTable
from machines.groups import Missing
from machines.outcomes import Outcome
from machines.progress import Progress
from machines.saga import Saga
from machines.statuses import FINISHED, Status
from machines.transitions import DONE, Direction, Trigger


# not frozen: a frozen dataclass takes three times as long to build, and each call builds several
@dataclass(kw_only=True)
class Move:
    """A move that is not stored yet, with the columns of its row in the journal (`JournalRow`)."""

    seq: int
    source: str | None
    trigger: str
    dest: str
    actor: str
    #: When the move was made, in seconds on the clock of the saga (`Instance.clock`).
    made: float
    step: str | None = None
    direction: str | None = None
    attempt: int | None = None
    reason: str | None = None
    status_code: int | None = None
    reply: Mapping[str, Any] | None = None
    duration_ms: float | None = None
    event: str | None = None


class RunningSaga(Progress):
    """A saga in the memory of one process. `app.store.instance.Instance` adds what the database needs."""

    #: Saga that has started this one as its child, and the step of that saga; None: it is no child.
    parent_id: UUID | None = None
    parent_step: str | None = None
    #: True: the parent of this child goes back, so this saga is compensated.
    goes_back = False
    #: Number of a child among those of the step, from 1.
    child_number = 0
    #: State, and how the last attempt of its call ended that may have worked; None: not known. For people.
    last_error: tuple[str, str] | None = None
    #: The children that the saga's present step still has to start; the next commit inserts them. None: the step starts
    #: no children, or its children are started.
    missing_children: Missing | None = None

    def __init__(
        self, definition: Saga, saga_id: UUID, data: Mapping[str, Any], state: str | None = None,
        clock: Callable[[], float] = time.monotonic, *, in_doubt: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(definition, state, in_doubt=in_doubt)
        #: Clock of this process, in seconds; each move gets its time from this clock.
        self.clock = clock
        self.id = saga_id
        #: The id as text, kept because each call, trace and statement needs it.
        self.id_text = str(saga_id)
        self.data = data
        #: Step → its reply, for the steps that succeeded.
        self.results: dict[str, Any] = {}
        #: Moves since the last commit.
        self.unsaved: list[Move] = []
        self.next_seq = 1
        #: Number of claims since the last move.
        self.claims = 0
        #: Time of the deadline, in seconds on the store's clock; infinite: not known yet.
        self.deadline = inf
        #: When the saga entered its state, in seconds on `clock`.
        self.entered = -inf
        #: Number of signals that had arrived when the saga was read.
        self.arrived = 0

    @property
    def ends_for_parent(self) -> bool:
        """True for a child that has ended since its last commit, so that the next commit makes its parent due.

        A branch that begins to go back wakes its parent, too, so that the parent stops the other branches.
        """
        if self.parent_id is None or not self.unsaved:
            return False
        fails = self.definition.is_branch and self.status == Status.COMPENSATING and not self.goes_back
        return fails or self.status in FINISHED

    @property
    def ends_quietly(self) -> bool:
        """True for a branch that is done: its parent has something to do only when no branch of the group is left.

        Where not all branches may run at once, each end lets the parent start the next one.
        """
        table = self.definition
        return isinstance(table, BranchTable) and not table.limited and self.status == Status.COMPLETED

    @property
    def retries_by_hand(self) -> bool:
        """True when a person has retried a stuck call since the last commit."""
        return any(move.trigger == Trigger.RETRY and move.source != move.dest for move in self.unsaved)

    def end_wait(
        self, outcome: Outcome, *, reason: str, actor: str, body: Mapping[str, Any] | None = None,
        status_code: int | None = None,
    ) -> None:  # fmt: skip
        at = self.current
        super().end_wait(outcome, reason=reason, actor=actor, body=body, status_code=status_code)
        if at.step is not None and outcome is Outcome.REFUSED_UNDO and body is not None:
            self.results[at.step.name] = body  # for the undo

    def start_pending(self) -> None:
        super().start_pending()
        self.entered = self.clock()

    def moved(self, event: EventData) -> None:
        """Record the move for the next commit; the machine calls this method after each move."""
        super().moved(event)
        transition = event.transition
        assert transition is not None
        trigger, dest, now = event.event.name, self.state, self.clock()
        if transition.source != dest:
            self.entered = now
        if trigger in DONE and event.kwargs.get("direction") == Direction.DO:
            # Before the next moves of the same commit, because their conditions may need the reply.
            reply = event.kwargs.get("reply")
            self.results[event.kwargs["step"]] = {} if reply is None else reply
        # The event of `dest` is published only when the saga enters that state for the first time.
        again = transition.source == dest or trigger == Trigger.RETRY or (self.skipped and self.passes_by(trigger))
        self.unsaved.append(
            Move(
                seq=self.next_seq,
                source=transition.source or None,
                trigger=trigger,
                dest=dest,
                event=None if again else self.definition.events.get(dest),
                made=now,
                **event.kwargs,
            )
        )
        self.next_seq += 1
        self.claims = 0
