"""One run of a saga in memory: what it called, where it is, and what its participants keep."""

import datetime as dt
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from machines.attempts import later_answer
from machines.history import Effect, skipped_steps
from machines.later import arrival_name
from machines.outcomes import Outcome
from machines.progress import OPERATOR_ACTIONS, trigger_of
from machines.replies import Reply, outcome_of
from machines.running import Move, RunningSaga
from machines.saga import Saga
from machines.signals import can_still_wait, step_waiting_for
from machines.statuses import Status
from machines.step import EFFECTFUL, Step
from machines.testing.answers import Always, Answer, ProcessDiedError, ok
from machines.testing.drawing import drawn
from machines.testing.memory import Arrived, Clock, Memory, MemoryLoop, Request, Row
from machines.testing.participants import Participants
from machines.testing.sent import Sent
from machines.testing.signals import NotAllowedError, signal_body
from machines.testing.successes import headers
from machines.transitions import Phase

#: The last runs of this test, for the report of a failure; the pytest plug-in empties it before each test.
RECENT: deque["Run"] = deque(maxlen=3)
#: After a process has died, another one claims the saga when the lease is over, in seconds.
_LEASE_S = 30.0
#: Most claims of one run. A saga that needs more does not come to rest.
_MOST_CLAIMS = 1_000
#: Most requests of one run, for the same reason.
_MOST_REQUESTS = 2_000
_REFUSALS = (Outcome.REFUSED, Outcome.REFUSED_UNDO)


class Run:
    """A saga with its participants, its clock and its stored journal."""

    def __init__(
        self, definition: Saga, data: Mapping[str, Any], script: Mapping[tuple[str, str], Sequence[Answer | Always]],
        bodies: Mapping[str, Any], clock: Clock | None = None, *, backs_off: bool = True,
    ) -> None:  # fmt: skip
        self.definition = definition
        #: Every request that left the process, in order.
        self.calls: list[Sent] = []
        #: (purpose, step) of every request that was answered, whether it left the process or not.
        self.requests: list[tuple[str, str]] = []
        self.participants = Participants(definition=definition, bodies=dict(bodies))
        self._memory = Memory(definition=definition, data=data, clock=clock or Clock())
        self._loop = MemoryLoop(self._memory, self._answer, backs_off=backs_off)
        self._rests = False
        self._loop.stopping = lambda: self._rests
        self._script: dict[tuple[str, str], Iterator[Answer]] = {
            call: _endless(answers) for call, answers in script.items()
        }
        RECENT.append(self)

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
            if due_at is None or due_at > target:
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
        if not can_still_wait(self.definition, self.state, found):
            raise NotAllowedError(f"the saga is in {self.state} and takes no answer to {step} any more")
        status, body = self._act(found, answer)
        reply = Reply(status=status, body=body, headers=self._headers(found, answer))
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
        self._rests = False
        for _ in range(_MOST_CLAIMS):
            try:
                self._loop.run(saga, max_sleep_s=float("inf"))
            except ProcessDiedError:
                if self._rests:
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

    def _answer(self, saga: RunningSaga, request: Request) -> Reply:
        """Answer a request as the test says, else with a success."""
        self.requests.append((request.purpose, request.step))
        if len(self.requests) > _MOST_REQUESTS:
            raise AssertionError(f"{self.definition} does not come to rest: it calls {request.step} for ever")
        step = saga.current.step
        assert step is not None
        answer = next(self._script.get((request.purpose, request.step), iter(())), ok)
        self._memory.clock.time += answer.takes_s
        self._rests = answer.rests
        if answer.sent and not (answer.dies and not answer.acts):
            self.calls.append(Sent(request, answer.name))
        if request.purpose == "do":
            status, body = self._act(step, answer)
        elif request.purpose == "undo":
            status, body = self.participants.undo(step) if answer.acts else (answer.status or 0, answer.body)
        else:
            status, body = self.participants.probe(step)
            status, body = (status, body) if answer is ok else (answer.status or 0, answer.body)
        if answer.dies:
            raise ProcessDiedError
        if answer.status is None:
            return Reply(error=answer.error, sent=answer.sent, retry_after_s=answer.retry_after_s)
        if answer.acts and answer.status != ok.status:
            status = answer.status
        return Reply(status=status, body=body, headers=self._headers(step, answer), retry_after_s=answer.retry_after_s)

    def _act(self, step: Step, answer: Answer) -> tuple[int, Any]:
        """Let the participant do the step or not, as the answer says. Return status and body of its reply."""
        if answer.acts:
            return self.participants.do(step, answer.body)
        status, body = answer.status or 0, {} if answer.body is None else answer.body
        if answer.status is None or outcome_of(Reply(status=status, body=body), call=step.call) not in _REFUSALS:
            return status, body  # only a refusal is remembered
        return self.participants.refuse(step, status, answer.body)

    @staticmethod
    def _headers(step: Step, answer: Answer) -> Mapping[bytes, bytes]:
        given = {name.lower().encode(): value.encode() for name, value in answer.headers.items()}
        return headers(step, step.call) | given if answer.acts else given


def _endless(answers: Sequence[Answer | Always]) -> Iterator[Answer]:
    for answer in answers:
        if isinstance(answer, Always):
            while True:
                yield answer.answer
        yield answer
