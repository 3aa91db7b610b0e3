"""One run of a saga in memory: what it called, where it is, and what its participants keep."""

import datetime as dt
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from machines.attempts import later_answer
from machines.history import Effect, skipped_steps
from machines.later import arrival_name
from machines.progress import OPERATOR_ACTIONS, trigger_of
from machines.replies import Reply
from machines.running import Move, RunningSaga
from machines.saga import Saga
from machines.signals import can_still_wait, step_waiting_for
from machines.statuses import Status
from machines.step import EFFECTFUL
from machines.testing.answering import Answering, headers_of
from machines.testing.answers import Always, Answer, ProcessDiedError, ok
from machines.testing.drawing import drawn
from machines.testing.memory import Arrived, Clock, Memory, MemoryLoop, Row
from machines.testing.participants import Participants
from machines.testing.sent import Sent
from machines.testing.signals import NotAllowedError, signal_body
from machines.transitions import Phase

#: The last runs of this test, for the report of a failure; the pytest plug-in empties it before each test.
RECENT: deque["Run"] = deque(maxlen=3)
#: After a process has died, another one claims the saga when the lease is over, in seconds.
_LEASE_S = 30.0
#: What is due within a microsecond is due, because sums of waits are not exact.
_MICROSECOND_S = 1e-6
#: Most claims of one run. A saga that needs more does not come to rest.
_MOST_CLAIMS = 1_000


class Run:
    """A saga with its participants, its clock and its stored journal."""

    def __init__(
        self, definition: Saga, data: Mapping[str, Any], script: Mapping[tuple[str, str], Sequence[Answer | Always]],
        bodies: Mapping[str, Any], clock: Clock | None = None, *, backs_off: bool = True,
    ) -> None:  # fmt: skip
        self.definition = definition
        self._memory = Memory(definition=definition, data=data, clock=clock or Clock())
        self._answering = Answering(definition, script, bodies, self._memory.clock)
        self._loop = MemoryLoop(self._memory, self._answering, backs_off=backs_off)
        self._loop.stopping = lambda: self._answering.rests
        RECENT.append(self)

    @property
    def calls(self) -> list[Sent]:
        """Every request that left the process, in order."""
        return self._answering.calls

    @property
    def requests(self) -> list[tuple[str, str]]:
        """(purpose, step) of every request that was answered, whether it left the process or not."""
        return self._answering.requests

    @property
    def participants(self) -> Participants:
        """What the participants keep."""
        return self._answering.participants

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
    def effects(self) -> dict[str, str]:
        """Step → what is left at its participant: `took effect`, `undone`, `not done` or `skipped`."""
        skipped = skipped_steps(self._memory.journal)
        return {
            step.name: Effect.SKIPPED if step.name in skipped else self.participants.effect(step)
            for step in self.definition.steps
            if step.kind in EFFECTFUL
        }

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
        return self._memory.clock.time

    @property
    def due_in_s(self) -> float | None:
        """Seconds until the saga goes on by itself; None: it has ended, is stuck, or waits for a person."""
        due_at = self._row.due_at
        return None if due_at is None else max(due_at - self.seconds, 0.0)

    @property
    def in_doubt(self) -> bool:
        """True when an attempt of the call in flight may have worked."""
        return self._memory.load().in_doubt

    def start(self) -> "Run":
        """Start the saga. `Scenario.run` has done this."""
        return self._drive(self._memory.new())

    def after(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> "Run":
        """Let time pass, and let the saga do what becomes due in it."""
        target = self.seconds + dt.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        for _ in range(_MOST_CLAIMS):
            due_at = self._row.due_at
            if due_at is None or due_at > target + _MICROSECOND_S:
                break
            self._memory.clock.time = max(self.seconds, due_at)
            self._drive(self._memory.claim())
        self._memory.clock.time = max(self.seconds, target)
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
        return drawn(self.definition, self._memory.journal, self._memory.row)

    def __repr__(self) -> str:
        where = self.state if self._memory.row else "not started"
        return f"<{self.definition}: {where}, called {', '.join(self.calls) or 'nothing'}>"

    @property
    def _row(self) -> Row:
        assert self._memory.row is not None, "the saga has made no commit"
        return self._memory.row

    def _drive(self, saga: RunningSaga) -> "Run":
        """Run the saga, with a new process whenever one has died, until it ends, is stuck, waits or rests."""
        self._answering.rests = False
        for _ in range(_MOST_CLAIMS):
            try:
                self._loop.run(saga, max_sleep_s=float("inf"))
            except ProcessDiedError:
                if self._answering.rests:
                    return self
                self._memory.clock.time += _LEASE_S
                saga = self._memory.claim() if self._memory.row else self._memory.new()
                continue
            return self
        raise AssertionError(f"{self.definition} does not come to rest:\n{self}")

    def _operate(self, name: str, reason: str, reply: Mapping[str, Any] | None = None) -> "Run":
        saga = self._memory.load()
        trigger = trigger_of(name, self.definition, saga.state)
        if trigger is None:
            allowed = ", ".join(self.allowed()) or "nothing"
            raise NotAllowedError(f"the saga is in {saga.state}, where an operator cannot {name}; allowed: {allowed}")
        self._loop.request_move(saga, trigger, "operator", reason, reply)
        self._loop.commit(saga)
        return self._drive(saga)

    def _arrive(self, name: str, body: Mapping[str, Any], sender: str) -> None:
        if name in self._memory.arrivals:
            raise NotAllowedError(f"{name} has arrived before; the first one counts")
        self._memory.arrivals[name] = Arrived(body=body, sender=sender)
        row = self._memory.row
        if row is not None:
            row.arrived += 1
            if row.status == Status.WAITING:
                self._drive(self._memory.claim())
