"""One run of a saga in memory: what it called, where it is, and what its participants keep."""

import datetime as dt
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from machines.attempts import later_answer
from machines.history import Effect
from machines.later import arrival_name
from machines.loop import IncompleteReplyError
from machines.progress import OPERATOR_ACTIONS, trigger_of
from machines.replies import Reply
from machines.running import Move
from machines.signals import can_still_wait, step_waiting_for
from machines.statuses import Status
from machines.testing.answering import Answering, headers_of
from machines.testing.answers import Answer, ok, shown
from machines.testing.drawing import brief, drawn
from machines.testing.family import Family
from machines.testing.member import Member
from machines.testing.memory import Arrived, Row
from machines.testing.participants import Participants
from machines.testing.sent import Sent
from machines.testing.signals import NotAllowedError, signal_body
from machines.transitions import Phase

#: The last runs of this test, for the report of a failure; the pytest plug-in empties it before each test.
RECENT: deque["Run"] = deque(maxlen=3)
#: Statuses in which a saga can be cancelled, when its table allows it.
_CANCELLED = (Status.RUNNING, Status.WAITING)


class Run:
    """A saga with its participants, its clock and its stored journal."""

    def __init__(self, family: Family, member: Member) -> None:
        self.definition = member.memory.definition
        self._family, self._member, self._memory = family, member, member.memory
        if member.parent is None:
            RECENT.append(self)

    @property
    def calls(self) -> list[Sent]:
        """Every request that left its process, in order, also those of its children."""
        within = {each.memory.saga_id for each in self._tree()}
        return [sent for saga_id, sent in self._family.log.calls if saga_id in within]

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
    def children(self) -> "list[Run]":
        """The sagas that its steps have started, in the order of their starts."""
        return [Run(self._family, each) for each in self._family.children(self._memory.saga_id)]

    def child(self, name: str, item: int | None = None) -> "Run":
        """Return the newest child of a step of sub() or each(), or of a branch, by name. item: its number, from 0."""
        found = [
            each
            for each in self._family.children(self._memory.saga_id)
            if each.name == name and (item is None or each.indexes[-1:] == (item,))
        ]
        if not found:
            known = (
                ", ".join(dict.fromkeys(each.name for each in self._family.children(self._memory.saga_id))) or "none"
            )
            what = name if item is None else f"{name}, item {item}"
            raise LookupError(f"{self.definition} has started no child {what}; it has {known}")
        return Run(self._family, found[-1])

    @property
    def state(self) -> str:
        """The state that the saga is in."""
        return self._row.state

    @property
    def status(self) -> str:
        """running, waiting, compensating, stuck, completed or compensated."""
        return str(self._row.status)

    @property
    def ended(self) -> str | None:
        """The end state; None while the saga has not ended: then it waits or is stuck."""
        phase = self.definition.states[self.state].phase
        return self.state if phase in (Phase.COMPLETED, Phase.COMPENSATED) else None

    @property
    def stuck(self) -> bool:
        """True when only a person can continue the saga."""
        return self.status == Status.STUCK

    @property
    def error(self) -> str | None:
        """Why the saga failed, as the API shows it."""
        return self._row.error

    @property
    def journal(self) -> Sequence[Move]:
        """Every move, as the journal stores it."""
        return tuple(self._memory.journal)

    @property
    def states(self) -> list[str]:
        """Every state that the saga entered, in order."""
        return [move.dest for move in self._memory.journal if move.source != move.dest]

    @property
    def moves(self) -> list[str]:
        """Every move in words, without its reason: `undo pay: refused, to STUCK_UNDO_PAY`."""
        return [brief(move) for move in self._memory.journal]

    @property
    def effects(self) -> dict[str, str]:
        """Step → what is left at its participant: `took effect`, `undone`, `not done` or `skipped`.

        A step that has started children is replaced by their steps: `reserve[0]`, `pay.charge`.
        """
        found: dict[str, str] = {}
        for label, effect in self._family.effects(self._member):
            if found.get(label) != Effect.TOOK_EFFECT:  # a step that was started again has several children
                found[label] = effect
        return found

    @property
    def took_effect(self) -> list[str]:
        """The steps whose effect is in force."""
        return [step for step, effect in self.effects.items() if effect == Effect.TOOK_EFFECT]

    @property
    def events(self) -> list[str]:
        """The events that were published, in order."""
        return [move.event for move in self._memory.journal if move.event]

    @property
    def results(self) -> Mapping[str, Any]:
        """Step → what the saga keeps of its reply."""
        return self._memory.load().results

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

    def tree(self) -> "list[Run]":
        """Return this saga, its children and theirs: each before its own children."""
        return [Run(self._family, each) for each in self._tree()]

    def label(self, step: str) -> str:
        """Return the name that a step of this saga has in `calls` and `effects`: `reserve[1]`, `pay.charge`."""
        return self._member.label(step)

    def start(self) -> "Run":
        """Start the saga. `Scenario.run` has done this."""
        self._family.start(self._member)
        return self

    def after(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> "Run":
        """Let time pass, and let the saga do what becomes due in it."""
        times = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        if wrong := next(
            (name for name, each in times.items() if not (isinstance(each, int | float) and each >= 0)), None
        ):
            raise ValueError(f"after({wrong}={times[wrong]!r}): write a number from 0 on; time does not go back")
        target = self.seconds + dt.timedelta(**times).total_seconds()
        self._family.log.rests = False
        self._family.settle(target)
        self._family.log.clock.time = max(self.seconds, target)
        return self

    def signal(self, name: str, /, **body: Any) -> "Run":
        """Send a signal. Raise NotAllowedError when the API would refuse it."""
        step = step_waiting_for(self.definition, name)
        if step is None or step.waits is None:
            raise NotAllowedError(f"{self.definition} waits for no signal {name}")
        if self._memory.row and not can_still_wait(self.definition, self.state, step):
            raise NotAllowedError(f"the saga is in {self.state} and does not wait for the signal {name} any more")
        self._arrive(name, signal_body(step, body), "test")
        return self

    def answer(self, step: str, answer: Answer = ok) -> "Run":
        """Let the participant of an accepted call answer: `ok`, `refused(…)` or any `replies(…)`."""
        found = next((each for each in self.definition.steps if each.name == step and each.later), None)
        if found is None or found.call is None:
            raise NotAllowedError(f"{self.definition} has no step {step} that is answered later")
        if found.asks is not None:
            raise NotAllowedError(f"the saga asks for the answer to {step}: write when_polled({step}=…)")
        if not can_still_wait(self.definition, self.state, found):
            raise NotAllowedError(f"the saga is in {self.state} and takes no answer to {step} any more")
        if not isinstance(answer, Answer):
            raise TypeError(f"the answer to {step} is {shown(answer)}; write one answer, such as ok or refused(…)")
        status, body = self._answering.act(found, answer)
        reply = Reply(status=status, body=body, headers=headers_of(found, answer, found.call))
        stored, lacking = later_answer(self.definition, found, reply)
        if lacking:
            raise NotAllowedError(f"the answer lacks what the table keeps: {', '.join(sorted(lacking))}")
        if stored is not None:
            self._arrive(arrival_name(step), stored, f"participant:{found.call.participant}")
        return self

    def arrives(self, step: str) -> "Run":
        """Let the call of a step that was lost on its way (`unheard`, `died_before`) arrive late, after everything."""
        found = next((each for each in self.definition.steps if each.name == step and each.call), None)
        if found is None:
            raise NotAllowedError(f"{self.definition} has no step {step} with a call")
        self.participants.do(found)
        return self

    def retry(self, reason: str = "test") -> "Run":
        """Let an operator retry a stuck saga. Raise NotAllowedError when the table has no such move."""
        return self._operate("retry", reason)

    def cancel(self, reason: str = "test") -> "Run":
        """Let an operator cancel the saga while it runs or waits. Raise NotAllowedError when nobody can."""
        if self.status not in _CANCELLED or "compensate" not in self.allowed():
            raise NotAllowedError(f"the saga is {self.status} in {self.state}, where nobody can cancel it")
        return self._operate("compensate", reason)

    def compensate(self, reason: str = "test") -> "Run":
        """Let an operator cancel or compensate the saga. Raise NotAllowedError when the table has no such move."""
        return self._operate("compensate", reason)

    def resolve(self, reason: str = "test", **reply: Any) -> "Run":
        """Let an operator continue a stuck saga whose step was done by hand. reply: what later calls need of it."""
        return self._operate("resolve", reason, reply)

    def allowed(self) -> list[str]:
        """Return the actions that an operator may take now."""
        return [name for name in OPERATOR_ACTIONS if trigger_of(name, self.definition, self.state)]

    def __str__(self) -> str:
        return "\n".join(
            drawn(each.memory.definition, each.memory.journal, each.memory.row, each.depth - self._member.depth)
            for each in self._tree()
        )

    def __repr__(self) -> str:
        where = self.state if self._memory.row else "not started"
        return f"<{self.definition}: {where}, called {', '.join(self.calls) or 'nothing'}>"

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

    def _operate(self, name: str, reason: str, reply: Mapping[str, Any] | None = None) -> "Run":
        saga = self._memory.load()
        trigger = trigger_of(name, self.definition, saga.state)
        if trigger is None:
            allowed = ", ".join(self.allowed()) or "nothing"
            raise NotAllowedError(f"the saga is in {saga.state}, where an operator cannot {name}; allowed: {allowed}")
        if why_not := self._family.families.why_not(saga, trigger):
            raise NotAllowedError(why_not)
        loop = self._family.loop
        try:
            loop.request_move(saga, trigger, "operator", reason, reply)
        except IncompleteReplyError as error:
            raise NotAllowedError(f"{saga.state}: later calls need more of the reply: {error}") from None
        loop.commit(saga)
        self._family.go_on(self._member, saga)
        return self

    def _arrive(self, name: str, body: Mapping[str, Any], sender: str) -> None:
        if name in self._memory.arrivals:
            raise NotAllowedError(f"{name} has arrived before; the first one counts")
        self._memory.arrivals[name] = Arrived(body=body, sender=sender)
        row = self._memory.row
        if row is not None:
            row.arrived += 1
            if row.status == Status.WAITING:
                self._family.go_on(self._member, self._memory.claim())
