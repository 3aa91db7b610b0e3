"""What a run of a saga in memory shows: what it called, where it is, and what its participants keep."""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, Self

from machines.history import Effect
from machines.progress import OPERATOR_ACTIONS, trigger_of
from machines.running import Move
from machines.statuses import Status
from machines.testing.answering import Answering
from machines.testing.drawing import brief, drawn
from machines.testing.family import Family
from machines.testing.item_names import impossible_item
from machines.testing.member import Member
from machines.testing.memory import Row
from machines.testing.names import ACTIONS, LEFT, STATUSES, ByName, Name, Names, Vocabulary, named
from machines.testing.participants import Participants
from machines.testing.sent import Sent
from machines.testing.unused import unused
from machines.transitions import Phase


class Shown:
    """What a test reads of a saga, its participants and its stored journal."""

    def __init__(self, family: Family, member: Member) -> None:
        self.definition = member.memory.definition
        self._family, self._member, self._memory = family, member, member.memory

    @property
    def calls(self) -> Names[Sent]:
        """Every request that left its process, in order, also those of its children."""
        within, known = {each.memory.saga_id for each in self._tree()}, self._known
        sent = (Sent(each, known) for saga_id, each in self._family.log.calls if saga_id in within)
        return Names(sent, known.calls)

    @property
    def requests(self) -> list[tuple[str, str]]:
        """(purpose, step) of every request that was answered, whether it left its process or not."""
        within = {each.memory.saga_id for each in self._tree()}
        return [request for saga_id, request in self._family.log.requests if saga_id in within]

    @property
    def participants(self) -> Participants:
        """What the participants keep of this saga, without its children."""
        return self._answering.participants

    @property
    def children(self) -> list[Self]:
        """The sagas that its steps have started, in the order of their starts."""
        return [type(self)(self._family, each) for each in self._family.children(self._memory.saga_id)]

    def child(self, name: str, item: int | None = None) -> Self:
        """Return the newest child of a step of sub() or each(), or of a branch, by name. item: its number, from 0."""
        found = self._family.newest(self._member, name, item)
        if found is None:
            known = (
                ", ".join(dict.fromkeys(each.name for each in self._family.children(self._memory.saga_id))) or "none"
            )
            what = name if item is None else f"{name}, item {item}"
            raise LookupError(f"{self.definition} has started no child {what}; it has {known}")
        return type(self)(self._family, found)

    @property
    def state(self) -> str:
        """The state that the saga is in."""
        return Name(self._row.state, self._known.states)

    @property
    def status(self) -> str:
        """running, waiting, compensating, stuck, completed or compensated."""
        return Name(self._row.status, STATUSES)

    @property
    def ended(self) -> str | None:
        """The end state; None while the saga has not ended: then it waits or is stuck."""
        phase = self.definition.states[self._row.state].phase
        return Name(self._row.state, self._known.ends) if phase in (Phase.COMPLETED, Phase.COMPENSATED) else None

    @property
    def stuck(self) -> bool:
        """True when only a person can continue the saga."""
        return self.status == Status.STUCK

    @property
    def needs_a_person(self) -> bool:
        """True when it is stuck, or one of its children at any depth is."""
        return any(each.stuck for each in self.tree())

    @property
    def error(self) -> str | None:
        """Why the saga failed, as the API shows it."""
        return self._row.error

    @property
    def journal(self) -> Sequence[Move]:
        """Every move, as the journal stores it."""
        return tuple(map(self._known.move, self._memory.journal))

    @property
    def states(self) -> Names[Name]:
        """Every state that the saga entered, in order."""
        return named((move.dest for move in self._memory.journal if move.source != move.dest), self._known.states)

    @property
    def moves(self) -> Names[Name]:
        """Every move in words, without its reason: `undo pay: refused, to STUCK_UNDO_PAY`."""
        return named(map(brief, self._memory.journal), self._known.moves)

    @property
    def effects(self) -> ByName[str]:
        """Step → what is left at its participant: `took effect`, `undone`, `not done` or `skipped`.

        A step that has started children is replaced by their steps: `reserve[0]`, `pay.charge`.
        """
        found: dict[str, str] = {}
        for label, effect in self._family.effects(self._member):
            if found.get(label) != Effect.TOOK_EFFECT:  # a step that was started again has several children
                found[label] = Name(effect, LEFT)
        return ByName(found, self._known.effects, LEFT)

    @property
    def took_effect(self) -> Names[Name]:
        """The steps whose effect is in force."""
        found = (step for step, effect in self.effects.items() if effect == Effect.TOOK_EFFECT)
        return named(found, self._known.effects)

    @property
    def events(self) -> Names[Name]:
        """The events that were published, in order."""
        return named((move.event for move in self._memory.journal if move.event), self._known.events)

    @property
    def results(self) -> ByName[Any]:
        """Step → what the saga keeps of its reply."""
        return ByName(self._memory.load().results, self._known.steps)

    @property
    def seconds(self) -> float:
        """The time since the start of the saga, in seconds."""
        return self._family.log.clock.time

    @property
    def due_in_s(self) -> float | None:
        """Seconds until it or one of its children goes on by itself; None: all have ended or wait for a person."""
        rows = [each.memory.row for each in self._tree()]
        due = [row.due_at for row in rows if row is not None and row.due_at is not None]
        return max(min(due) - self.seconds, 0.0) if due else None

    @property
    def in_doubt(self) -> bool:
        """True when an attempt of the call in flight may have worked."""
        return self._memory.load().in_doubt

    def tree(self) -> list[Self]:
        """Return this saga, its children and theirs: each before its own children."""
        return [type(self)(self._family, each) for each in self._tree()]

    def label(self, step: str) -> str:
        """Return the name that a step of this saga has in `calls` and `effects`: `reserve[1]`, `pay.charge`."""
        return self._member.label(step)

    @property
    def unused(self) -> list[str]:
        """What the test has said and the saga has not used so far, in sentences."""
        return [left.sentence for left in unused(self._family)]

    def allowed(self) -> Names[Name]:
        """Return the actions that an operator may take now."""
        found = (name for name in OPERATOR_ACTIONS if trigger_of(name, self.definition, self._row.state))
        return named(found, ACTIONS)

    def __str__(self) -> str:
        return "\n".join(
            drawn(each.memory.definition, each.memory.journal, each.memory.row, each.depth - self._member.depth)
            for each in self._tree()
        )

    def __repr__(self) -> str:
        where = self.state if self._memory.row else "not started"
        return f"<{self.definition}: {where}, called {', '.join(self.calls) or 'nothing'}>"

    @cached_property
    def _known(self) -> Vocabulary:
        member = self._member
        return Vocabulary(
            self.definition, self._family.families.registry, member.label, member.prefix,
            partial(impossible_item, self._family, member),
        )  # fmt: skip

    @property
    def _answering(self) -> Answering:
        return self._family.answering(self._memory.saga_id)

    def _tree(self) -> list[Member]:
        """Return the saga with its children, and theirs: each before its own children."""
        return self._family.tree(self._member)

    @property
    def _row(self) -> Row:
        assert self._memory.row is not None, "the saga has made no commit"
        return self._memory.row
