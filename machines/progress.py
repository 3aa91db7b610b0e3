"""The only interpreter of a table: what an outcome, a deadline, a crash or an operator action does to a saga.

The saga's state names the call in flight. That call is *in doubt* when an earlier attempt may have worked. From the
state, this fact and the event, this module decides which moves the saga makes. The engine, the previews, the diagrams
and the tests call it. No other module fires a trigger, and no other module writes `in_doubt`.

    outcome of the call     what the saga does
    succeeded               continues with the next call
    refused                 compensates the steps before this one, and this step when it is in doubt; is stuck where
                            there is no way back, and when a pivot is in doubt
    refused, but undo it    compensates this step and the steps before it
    accepted                waits for the answer, which is one of these outcomes; without an answer in time, the call is
                            unknown and is not sent again
    unknown                 sends the call again, in doubt; after the last attempt it compensates this step and the
                            steps before it, or is stuck
    not sent                sends the call later; no attempt is counted

A saga leaves a *passing* state in the same commit, for the state of the next call or of a compensation. Steps are
undone in reverse order, so the last step with an undo is compensated first. The condition of a step (`when=`) is
decided in the commit that would have entered the step: the step is done, is skipped, or is refused because the
condition cannot be decided. A skipped step is not undone.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from transitions import EventData

from machines.call import Call
from machines.conditions import negated, references_of
from machines.deciding import Decision, decide
from machines.machine import SagaMachine
from machines.outcomes import Outcome
from machines.references import split
from machines.saga import Saga
from machines.statuses import Status, status_of
from machines.step import Kind, Step
from machines.transitions import GIVES_UP, Direction, Phase, State, Trigger

#: Operator action → triggers that carry it out. The first one that the table has from the saga's state is fired.
OPERATOR_ACTIONS: Mapping[str, tuple[Trigger, ...]] = MappingProxyType({
    "retry": (Trigger.RETRY,),
    "compensate": (Trigger.COMPENSATE, Trigger.COMPENSATE_INCLUDING, Trigger.CANCEL),
    "resolve": (Trigger.RESOLVE,),
})  # fmt: skip


#: First word of the reason of a move that records an undecided condition. No call of the step was sent.
UNDECIDED = "condition: "
#: First words of the error of a cancelled saga, and of one whose time was over. The error of a failure begins with a
#: state, whose name has no space.
CANCELLED, EXPIRED = "Cancelled by ", "Too late for "
#: Reason of the move of a child whose parent goes back, see `Families.obey`.
OBEYS = re.compile(r"saga [0-9a-f-]{36} compensates its step \w+")


class Progress(SagaMachine):
    """The state of one saga, and what is known of the call in flight."""

    #: The data of the saga, and the replies of the steps that succeeded, by step.
    data: Mapping[str, Any] = MappingProxyType({})
    results: Mapping[str, Any] = MappingProxyType({})
    #: Names of the steps that were skipped, because their condition did not hold.
    skipped: frozenset[str] = frozenset()

    def __init__(self, definition: Saga, state: str | None = None, *, in_doubt: bool = False) -> None:
        super().__init__(definition, state)
        #: True when an attempt of the call in flight may have worked. A refusal of a later attempt does not change
        #: this.
        self.in_doubt = in_doubt and (self._at.waits is None or self._at.awaits_answer)
        #: Number of failed attempts of the call in flight.
        self.failed_attempts = 0
        #: How many times the call in flight was deferred; a deferral is not counted as an attempt. In a state that
        #: polls: how many polls have brought no answer.
        self.deferrals = 0
        #: True when a person has asked to send the call in flight again, although it is in doubt.
        self.sends_again = False
        #: True when the participant has refused the call that is stuck, or that a person sends again, and no attempt of
        #: it may have worked. So a further refusal is believed.
        self.was_refused = False
        #: Why the call in flight is sent again; None before its first attempt.
        self.waits_for: str | None = None
        #: True while the saga waits for a request to start; none of its calls was sent.
        self.pending = False
        #: Why the saga failed, as "state: step: reason"; None: it has not failed, or it has completed in spite of a
        #: failure.
        self.error: str | None = None
        #: Error that made the saga go back; None: the saga goes forward, or a person requested to undo an ended saga.
        self.cause: str | None = None

    @property
    def status(self) -> Status:
        return status_of(self._at.phase, pending=self.pending)

    @property
    def probe(self) -> Call | None:
        """The step's probe, which asks if an attempt in doubt has worked.

        None: no attempt is in doubt, or the step has no probe.
        """
        return self._at.probe if self.in_doubt else None

    @property
    def must_not_send(self) -> bool:
        """True when the call may have been sent and must not be sent twice, because its table allows one attempt."""
        once = self._at.effectful and self._at.retry.attempts == 1
        return once and self.in_doubt and not self.sends_again

    @property
    def pivot_in_doubt(self) -> bool:
        """True when the pivot may have worked. Then neither the deadline nor a refusal undoes the saga."""
        return self.in_doubt and self._at.step is not None and self._at.step.kind is Kind.PIVOT

    @property
    def may_have_worked(self) -> bool:
        """True when the step may have taken effect: in doubt, accepted but not answered, or its child has not ended."""
        return self.in_doubt or self._at.awaits_answer or self._at.awaits_child

    @property
    def can_expire(self) -> bool:
        """True when the call in flight must not be sent after the saga's deadline."""
        return not self.pivot_in_doubt and self.may(Trigger.EXPIRE)

    def create(self, *, actor: str) -> None:
        """Create the saga in its initial state. Enter the state of its first call where the table names one."""
        self.fire(Trigger.START, actor=actor)
        self.pass_on(actor=actor)

    def conclude(
        self, outcome: Outcome, *, sent: bool = True, asks_to_wait: bool = False, late: bool = False,
        final: bool = False, actor: str = "", **facts: Any,
    ) -> Trigger:  # fmt: skip
        """Make the moves that follow from the outcome of the call in flight. Return the trigger of the first move.

        sent: the call left this process. asks_to_wait: the participant said when to send the call again. late: the
        saga's deadline is over. final: another attempt would get the same reply, so this attempt is the last, and only
        the probe may still be sent. facts: recorded with the first move. After RETRY or DEFER, the caller waits and
        sends the same call again.
        """
        at = self._at
        assert at.step is not None
        # A pivot in doubt does not expire. After the deadline each try counts as an attempt, so that the tries end.
        pivot_waits = at.awaits_answer and at.step.kind is Kind.PIVOT
        overdue = late and (pivot_waits or (self.pivot_in_doubt and self.may(Trigger.EXPIRE)))
        waits = outcome not in (Outcome.SUCCEEDED, Outcome.ACCEPTED) and (
            (outcome is Outcome.NOT_SENT and not overdue) or (asks_to_wait and not late)
        )
        attempt_number = self.failed_attempts + ((sent or overdue) and not waits)
        if final and outcome is Outcome.IN_DOUBT:
            self.failed_attempts = max(self.failed_attempts, at.retry.attempts - 1)
        trigger = Trigger.DEFER if waits else self._trigger_of(outcome)
        doubted = self.in_doubt
        including = doubted or trigger is Trigger.EXHAUSTED or outcome is Outcome.REFUSED_UNDO
        self.fire(trigger, actor=actor, step=at.step.name, direction=at.direction, attempt=attempt_number, **facts)
        if trigger is Trigger.DEFER:
            self.in_doubt |= outcome is not Outcome.NOT_SENT
            self.sends_again &= outcome is Outcome.NOT_SENT
            self.was_refused &= outcome is Outcome.NOT_SENT
        elif trigger is Trigger.RETRY:
            self.in_doubt, self.sends_again, self.was_refused = True, False, False
        elif trigger is Trigger.ACCEPTED:
            self.in_doubt = doubted  # an earlier attempt may have worked, even if the later answer is a refusal
        else:
            self.pass_on(including=including, actor=actor)
        return trigger

    def _trigger_of(self, outcome: Outcome) -> Trigger:
        if outcome is Outcome.SUCCEEDED:
            return Trigger.SUCCEEDED
        if outcome is Outcome.ACCEPTED:
            return Trigger.ACCEPTED
        if outcome in (Outcome.REFUSED, Outcome.REFUSED_UNDO):
            doubted = self.in_doubt and self.may(Trigger.REFUSED_IN_DOUBT)
            return Trigger.REFUSED_IN_DOUBT if doubted else Trigger.REFUSED
        return Trigger.RETRY if self.failed_attempts + 1 < self._at.rounds else Trigger.EXHAUSTED

    def give_up(self, trigger: Trigger, *, actor: str, reason: str) -> None:
        """Abandon the call in flight: the deadline is over (EXPIRE), or each process that ran it died (QUARANTINE)."""
        at, including = self._at, self.may_have_worked
        assert at.step is not None
        self.fire(trigger, actor=actor, step=at.step.name, direction=at.direction, reason=reason)
        self.pass_on(including=including, actor=actor)

    def request_move(self, trigger: Trigger, *, actor: str = "", then: str = "", **facts: Any) -> None:
        """Make the move that a person requests. then: the actor of the moves that follow in the same commit.

        Raise `transitions.MachineError` when the table has no such transition.
        """
        including = self.may_have_worked
        self.fire(trigger, actor=actor, **facts)
        self.pass_on(including=including, actor=then)

    def end_wait(
        self, outcome: Outcome, *, reason: str, actor: str, body: Mapping[str, Any] | None = None,
        status_code: int | None = None,
    ) -> None:  # fmt: skip
        """End the wait of the present state: a signal or an answer has come with this body, or its time is over."""
        self.conclude(outcome, final=True, actor=actor, reason=reason, reply=body, status_code=status_code)

    def asked(self) -> None:
        """Count a poll that brought no answer. A poll changes nothing, so it is no move."""
        self.deferrals += 1

    def start_pending(self) -> None:
        """Start a saga that waited for a request or for its start time."""
        self.pending = self.in_doubt = self.sends_again = False

    def pass_on(self, *, including: bool = False, actor: str = "") -> None:
        """Leave passing states. including: the failed step may have taken effect, so it is compensated, too."""
        while self._at.phase is Phase.PASSING or (self.skipped and self._undoes_nothing):
            step = self._at.step
            if self._at.phase is not Phase.PASSING and step is not None:
                self.fire(Trigger.SKIP, actor=actor, step=step.name, direction=Direction.UNDO, reason="it was skipped")
            elif self.may(Trigger.BEGIN):
                if step is not None and step.when is not None:
                    self._decide(step, actor)
                else:
                    self.fire(Trigger.BEGIN, actor=actor)
            elif including and self.may(Trigger.COMPENSATE_INCLUDING):
                self.fire(Trigger.COMPENSATE_INCLUDING, actor=actor)
            else:
                self.fire(Trigger.COMPENSATE, actor=actor)

    def passes_by(self, trigger: str) -> bool:
        """Return True after a move to a state that a skipped step only passes by: its `done`, or its `undoing`.

        The end of the saga is no such state.
        """
        skips_ahead = trigger == Trigger.SKIP and self._at.phase in (Phase.PASSING, Phase.FORWARD, Phase.WAITING)
        return skips_ahead or self._undoes_nothing

    @property
    def _undoes_nothing(self) -> bool:
        """True in the state that would undo a skipped step."""
        at = self._at
        return at.phase is Phase.UNDOING and at.step is not None and at.step.name in self.skipped

    def _decide(self, step: Step, actor: str) -> None:
        """Enter a step, or skip it. A condition that cannot be decided refuses the step: nothing of it was sent."""
        decision = self.decide(step)
        facts: dict[str, Any] = {"step": step.name, "direction": Direction.DO, "reply": decision.seen}
        if decision.holds is None:
            self.fire(Trigger.REFUSED, actor=actor, reason=f"{UNDECIDED}{decision.problem}", **facts)
            return
        if not decision.holds:
            self.skipped |= {step.name}
        self.fire(Trigger.BEGIN if decision.holds else Trigger.SKIP, actor=actor, reason=decision.reason, **facts)

    def decide(self, step: Step) -> Decision:
        """Return what the condition of a step decides, from the saga's data and the replies so far."""
        assert step.when is not None
        return decide(step.when, self.data, self.results)

    def moved(self, event: EventData) -> None:
        """Update what is known of the call in flight. `Machine` calls this method after each move."""
        transition, trigger, reason = event.transition, event.event.name, event.kwargs.get("reason")
        assert transition is not None
        if transition.source == transition.dest:
            self.waits_for = reason
            self.failed_attempts += trigger == Trigger.RETRY
            self.deferrals += trigger == Trigger.DEFER
            return
        self.failed_attempts, self.deferrals, self.waits_for = 0, 0, None
        if trigger != Trigger.RETRY:
            refused = trigger == Trigger.REFUSED and self._at.phase is Phase.STUCK
            self.was_refused = refused and (self.was_refused or not self.in_doubt)
        # When a person retries a stuck call, the call is in doubt, because an earlier attempt may have taken effect.
        self.in_doubt = self.sends_again = trigger == Trigger.RETRY
        if trigger in GIVES_UP:
            source, dest, actor = str(transition.source), str(transition.dest), event.kwargs.get("actor")
            self.error = failure(self.definition, trigger, source, dest, actor, reason)
        if self._at.phase is not Phase.FORWARD:
            self._end(str(transition.source))

    def _end(self, source: str) -> None:
        """Keep the error that makes the saga go back. At the end of the saga, drop an error from a stuck state."""
        before, phase = self.definition.states.get(source), self._at.phase
        if goes_back(before, self._at):
            self.cause = self.error
        if phase is Phase.COMPLETED:
            self.error = None
        elif phase is Phase.COMPENSATED:
            self.error = self.cause


def failure(  # noqa: PLR0917
    definition: Saga, trigger: str, source: str, dest: str, actor: str | None, reason: str | None
) -> str:
    """Return the error of a saga whose call failed in the state `source`, or that `actor` cancelled there.

    The error of a cancel names no state and no step: no participant has failed. That of a saga whose time was over
    names the step that it was at.
    """
    if trigger == Trigger.CANCEL:
        by = "its parent" if OBEYS.fullmatch(reason or "") else person(actor or "")
        return f"{CANCELLED}{by}: {reason}"
    state = definition.states.get(source)
    step = state.step.name if state and state.step else ""
    return f"{EXPIRED}{step}: {reason}" if trigger == Trigger.EXPIRE else f"{dest}: {step}: {reason}"


def person(actor: str) -> str:
    """Return the name of a person or a program without its kind, such as `otto` for `user:otto`."""
    return actor.partition(":")[2] or actor


def goes_back(before: State | None, after: State) -> bool:
    """Return True for the move with which a saga begins to go back."""
    back = after.phase in (Phase.UNDOING, Phase.COMPENSATED)
    return back and not (before is not None and before.undoes)


def may_have_been_sent(*, in_doubt: bool, claims: int, own_claims: int = 0) -> bool:
    """Return True when the call of a stored saga may have been sent, so that it is in doubt.

    The sender may be the process that committed the state, or a process that claimed the saga since then: a process
    that claims a saga may send its call without another commit. in_doubt: the value stored with the saga. claims: the
    number of claims since its last move. own_claims: how many of these claims the caller made; they do not count.
    """
    return in_doubt or claims > own_claims


def operator_triggers(saga: Saga, state: str) -> frozenset[Trigger]:
    """Return the triggers that only a person fires from this state. The retries of the engine are not among them."""
    waits = saga.states[state].phase in (Phase.STUCK, Phase.COMPLETED)
    return frozenset(
        transition.trigger
        for transition in saga.transitions
        if transition.source == state and (waits or transition.trigger is Trigger.CANCEL)
    )


def trigger_of(operator_action: str, saga: Saga, state: str) -> Trigger | None:
    """Return the trigger that an operator action fires in this state; None when the table does not allow the action."""
    allowed = operator_triggers(saga, state)
    return next((trigger for trigger in OPERATOR_ACTIONS[operator_action] if trigger in allowed), None)


class Walk(Progress):
    """A trial saga in memory, for previews and diagrams. It records the states that it enters."""

    def __init__(self, definition: Saga, state: str | None = None, *, in_doubt: bool = False) -> None:
        super().__init__(definition, state, in_doubt=in_doubt)
        #: States entered since the last `take`, or since the beginning.
        self.entered: list[State] = []
        #: Names of the steps whose condition is taken not to hold.
        self.skips: frozenset[str] = frozenset()
        #: Names of the steps whose condition is taken to hold, because only a reply to come, or no data, decides it.
        self.assumed: set[str] = set()
        #: What conditions have decided since the last `take_decisions`, in words.
        self._decisions: list[str] = []

    def again(self) -> "Walk":
        """Return a new trial saga in the same state, with the same data."""
        other = Walk(self.definition, self.state, in_doubt=self.in_doubt)
        other.data, other.results, other.skipped, other.skips = self.data, self.results, self.skipped, self.skips
        return other

    def decide(self, step: Step) -> Decision:
        assert step.when is not None
        if step.name in self.skips:
            return Decision(holds=False, seen={})
        roots = {split(reference)[0] for reference in references_of(step.when)}
        to_come = {each.name for each in self.definition.steps} - self.results.keys() - self.skipped
        decision = super().decide(step)
        if decision.holds is None or (roots & to_come):
            self.assumed.add(step.name)
            return Decision(holds=True, seen={})
        return decision

    def moved(self, event: EventData) -> None:
        super().moved(event)
        if not self._undoes_nothing:
            self.entered.append(self._at)
        transition = event.transition
        step = self.definition.states[transition.source].step if transition and transition.source else None
        if step is None or step.when is None or event.event.name not in (Trigger.BEGIN, Trigger.SKIP):
            return
        if event.kwargs.get("direction") == Direction.DO:
            done = event.event.name == Trigger.BEGIN
            self._decisions.append(f"{step.when}" if done else f"{step.name} is skipped: {negated(step.when)}")

    def take_decisions(self) -> list[str]:
        """Return what conditions have decided since the last call of this method, in words."""
        taken, self._decisions = self._decisions, []
        return taken

    def take(self) -> list[State]:
        """Return the states entered since the last `take`, or since the beginning."""
        taken, self.entered = self.entered, []
        return taken

    def exhaust(self) -> Trigger:
        """Let every attempt of the call in flight end without a clear reply. Return the trigger of the first move."""
        self.failed_attempts = self.current.rounds
        return self.conclude(Outcome.IN_DOUBT)
