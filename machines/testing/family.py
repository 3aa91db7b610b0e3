"""A tree of sagas in memory: a saga, the children that its steps start, and the loop that runs them all.

What a step does with its children is decided by `machines.families`, as in the service.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, cast
from uuid import UUID, uuid5

from machines.children import INDEX
from machines.families import Families, FamilyLoop
from machines.groups import Child, NewChild, is_sent_back
from machines.history import Effect, replies, skipped_steps
from machines.registry import Registry
from machines.replies import Reply
from machines.running import RunningSaga
from machines.saga import Saga
from machines.signals import step_waiting_for
from machines.statuses import FINISHED, Status
from machines.step import EFFECTFUL
from machines.testing.answering import Answering, Log
from machines.testing.answers import ProcessDiedError, Queue
from machines.testing.member import SILENT, Answers, Member, kin_of
from machines.testing.memory import ACTOR, MAX_CLAIMS, Arrived, Clock, Memory, MemoryAttempts, Request
from machines.testing.signals import signal_body
from machines.testing.unused import check_used, key_of
from machines.waits import Waits

#: After a process has died, another one claims the saga when the lease is over, in seconds.
_LEASE_S = 30.0
#: What is due within a microsecond is due, because sums of waits are not exact.
_MICROSECOND_S = 1e-6
#: Most claims of one run. Sagas that need more do not come to rest.
_MOST_CLAIMS = 10_000


class Family:
    """A saga with its children, and theirs."""

    def __init__(
        self, registry: Registry, clock: Clock, early: Mapping[str, Mapping[str, Any]], *, backs_off: bool
    ) -> None:
        self.log, self.members = Log(clock=clock), dict[UUID, Member]()
        self.families = Families(children=self, registry=registry)
        self.loop = MemoryLoop(self, backs_off=backs_off)
        self.early = early
        self._answering: dict[UUID, Answering] = {}
        #: (purpose, label) → the answers that are left.
        self._said: dict[tuple[str, str], Queue] = {}

    @property
    def root(self) -> Member:
        return next(iter(self.members.values()))

    @property
    def is_over(self) -> bool:
        """True when every saga has ended, and no operator can take the first one back."""
        rows = [each.memory.row for each in self.members.values()]
        if not all(row is not None and row.status in FINISHED for row in rows):
            return False
        root = self.root.memory
        return root.row is not None and not any(each.source == root.row.state for each in root.definition.transitions)

    def used(self) -> dict[tuple[str, str, int], int]:
        """Return how many answers of each list were used; of several sagas with one list, the one that used most."""
        found: dict[tuple[str, str, int], int] = {}
        for queue in self._said.values():
            if queue.key is not None:
                found[queue.key] = max(queue.used, found.get(queue.key, 0))
        return found

    def add(self, memory: Memory, answers: Answers) -> Member:
        """Add the root of the tree."""
        return self._join(Member(memory=memory, answers=answers))

    def answering(self, saga_id: UUID) -> Answering:
        return self._answering[saga_id]

    def start(self, member: Member) -> None:
        """Start the root, and run every saga until it rests."""
        self._run(member, member.memory.new())
        self.settle()

    def go_on(self, member: Member, saga: RunningSaga) -> None:
        """Run a saga that has just been moved, and every saga that follows from it, until all rest."""
        self._run(member, saga)
        self.settle()

    def settle(self, until: float = -inf) -> None:
        """Run each saga that is due, also after the wait between two attempts, and each that is due until this time."""
        for _ in range(_MOST_CLAIMS):
            member = None if self.log.rests else self._next(max(until, self.log.clock()))
            if member is None:
                check_used(self)
                return
            assert member.memory.row is not None
            self.log.clock.time = max(self.log.clock(), member.memory.row.due_at or 0.0)
            self._run(member, member.memory.claim())
        raise AssertionError("the sagas do not come to rest")

    def _next(self, until: float) -> Member | None:
        """Return the saga that is due first; None when all rest. Of two, a child goes before its parent."""
        now, found, goes_on = self.log.clock(), [], False
        for number, member in enumerate(self.members.values()):
            row = member.memory.row
            if row is not None and row.due_at is not None:
                found.append((max(row.due_at, now), -member.depth, number, member))
                goes_on |= member.backs_off
        if not found:
            return None
        due_at, _, _, first = min(found, key=lambda each: each[:3])
        return first if goes_on or due_at <= until + _MICROSECOND_S else None

    def _run(self, member: Member, saga: RunningSaga) -> None:
        """Let a process run a saga until the saga is released or the process dies."""
        self.log.rests = False
        memory, alone = member.memory, len(self.members) == 1 and not _starts_others(member.memory.definition)
        while True:
            try:
                self.loop.run(saga, max_sleep_s=inf if alone else 0.0)
            except ProcessDiedError:
                if self.log.rests:
                    return
                if memory.row is None:  # nothing of the saga is stored, so its sender starts it again
                    self.log.clock.time += _LEASE_S
                    saga = memory.new()
                    continue
                memory.row.due_at, memory.row.held = self.log.clock() + _LEASE_S, True
            return

    def save(self, saga: RunningSaga, due_at: float | None, *, held: bool) -> None:
        """Commit a saga with what belongs to it: its children, or the wake-up of its parent."""
        member = self.members[saga.id]
        if saga.current.awaits_child:
            self.families.prepare(saga)
        ends, missing, retried = saga.ends_for_parent, saga.missing_children, saga.retries_by_hand
        member.memory.save(saga, due_at, held=held)
        if saga.current.awaits_child and saga.current.step is not None:
            step = saga.current.step.name
            if saga.current.undoes:
                self._send_back(saga.id, step)
            elif missing is not None:
                for new in missing(self.of(saga.id, step), retried):
                    self._start(member, step, new)
        if ends and member.parent is not None:
            self._wake(member.parent.memory)

    def of(self, parent: UUID, step: str) -> Sequence[Child]:
        """Return the children that a step of a saga has started, in the order of their numbers."""
        kin = [kin_of(each.memory) for each in self.children(parent) if each.memory.parent_step == step]
        return sorted(kin, key=lambda child: child.child_number)

    def replies(self, children: Sequence[UUID]) -> Mapping[UUID, Mapping[str, Any]]:
        return {child: replies(cast("Any", self.members[child].memory.journal)) for child in children}

    def children(self, parent: UUID) -> list[Member]:
        return [each for each in self.members.values() if each.memory.parent_id == parent]

    def newest(self, parent: Member, name: str, item: int | None = None) -> Member | None:
        """Return the newest child with this name, see `Member.name`; None without any. item: its number, from 0."""
        found = [
            each
            for each in self.children(parent.memory.saga_id)
            if each.name == name and (item is None or each.indexes[-1:] == (item,))
        ]
        return found[-1] if found else None

    def tree(self, member: Member) -> list[Member]:
        """Return a saga with its children, and theirs: each before its own children."""
        below = [each for child in self.children(member.memory.saga_id) for each in self.tree(child)]
        return [member, *below]

    def effects(self, member: Member) -> Iterator[tuple[str, str]]:
        """Yield the label of each step with an effect, and what is left of it, in the order of the table."""
        memory = member.memory
        skipped = skipped_steps(memory.journal)
        participants = self._answering[memory.saga_id].participants
        for step in memory.definition.steps:
            children = [each for each in self.children(memory.saga_id) if each.memory.parent_step == step.name]
            if children:
                yield from (effect for child in children for effect in self.effects(child))
            elif step.kind in EFFECTFUL:
                yield member.label(step.name), Effect.SKIPPED if step.name in skipped else participants.effect(step)

    def find(self, saga_id: UUID, name: str) -> Arrived | None:
        return self.members[saga_id].memory.arrivals.get(name)

    def seconds_until(self, moment: dt.datetime) -> float:
        return self.log.clock.seconds_until(moment)

    def reply(self, saga: RunningSaga, request: Request) -> Reply:
        return self._answering[saga.id](saga, request)

    def _start(self, parent: Member, step: str, new: NewChild) -> None:
        """Store a new child, which is due at once."""
        group = parent.step(step).group
        prefix, indexes, answers, name = parent.prefix, parent.indexes, parent.answers, step
        if group is None:
            said = parent.said("do", step)
            prefix, indexes, answers = (
                f"{parent.label(step)}.",
                (),
                said if said and not isinstance(said, tuple) else SILENT,
            )
        else:
            name = new.definition.name.rpartition(".")[2]
            indexes = indexes if group.over is None else (*indexes, new.data[INDEX])
        memory = Memory(
            definition=new.definition, data=new.data, clock=self.log.clock, parent_id=parent.memory.saga_id,
            saga_id=uuid5(parent.memory.saga_id, f"{step}/{new.number}"), parent_step=step, child_number=new.number,
        )  # fmt: skip
        self._join(
            Member(
                memory=memory, answers=answers, parent=parent, name=name, depth=parent.depth + 1, prefix=prefix,
                indexes=indexes,
            )
        )  # fmt: skip
        child = memory.new()
        memory.save(child, self.log.clock(), held=False)
        if child.status in FINISHED:  # every step was skipped
            self._wake(parent.memory)

    def _join(self, member: Member) -> Member:
        memory = member.memory
        for signal, body in self.early.items():
            if step := step_waiting_for(memory.definition, signal):
                memory.arrivals[signal] = Arrived(body=signal_body(step, body), sender="test")
        self.members[memory.saga_id] = member
        self._answering[memory.saga_id] = Answering(
            memory.definition, member.answers.bodies, self.log, member.label, partial(self._answers, member)
        )
        return member

    def _answers(self, member: Member, purpose: str, step: str) -> Queue:
        """Return the answers to a call that the test says, from the next one on."""
        call = (purpose, member.label(step))
        if call not in self._said:
            said = member.said(purpose, step)
            answers = said if isinstance(said, tuple) else ()
            self._said[call] = Queue(answers=answers, key=key_of(purpose, step, answers))
        return self._said[call]

    def _wake(self, memory: Memory) -> None:
        """Make the parent of a child that has ended due, unless a process holds it and will look itself."""
        row = memory.row
        assert row is not None
        memory.woken += 1
        row.arrived += 1
        if not row.held and row.status in (Status.WAITING, Status.COMPENSATING):
            row.due_at = self.log.clock()

    def _send_back(self, parent: UUID, step: str) -> None:
        """Ask the children of a step to compensate."""
        for child in self.children(parent):
            row = child.memory.row
            if row is None or child.memory.parent_step != step:
                continue
            if is_sent_back(row.status, goes_back=row.goes_back):
                row.goes_back, row.held, row.due_at = True, False, self.log.clock()


class MemoryLoop(FamilyLoop[RunningSaga]):
    """The loop over the stored sagas of one tree."""

    actor = ACTOR

    def __init__(self, family: Family, *, backs_off: bool) -> None:
        self.family, self.families = family, family.families
        self.calls, self.waits = MemoryAttempts(family.reply), Waits(arrivals=family)
        self.jitter = lambda longest_s: longest_s if backs_off else 0.0
        self.sleep = partial(_pass, family.log.clock)
        self.stopping = lambda: family.log.rests

    @property
    def max_claims(self) -> int:
        return MAX_CLAIMS

    def now(self) -> float:
        return self.family.log.clock()

    def commit(self, saga: RunningSaga, wait_s: float = 0.0) -> None:
        self.family.save(saga, self.now() + wait_s, held=True)

    def release(self, saga: RunningSaga, after_s: float | None) -> None:
        self.family.save(saga, None if after_s is None else self.now() + after_s, held=False)

    def _covered(self, saga: RunningSaga) -> bool:  # noqa: ARG002  no other process claims the saga
        return True


def _pass(clock: Clock, seconds: float) -> None:
    clock.time += seconds


def _starts_others(definition: Saga) -> bool:
    return any(step.starts is not None for step in definition.steps)
