"""The only reading of a journal: the outcome of each call, the result of each step and each effect of a saga.

A journal is a saga's moves, in their order. The API, the pages, the command line, the diagrams and the metrics all
use this module, so no two of them can read one journal differently.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol, TypeVar
from uuid import UUID

from machines.call import Call
from machines.outcomes import Outcome
from machines.progress import UNDECIDED, failure, goes_back
from machines.references import FillError, roots_of
from machines.renaming import as_named_now
from machines.saga import Saga
from machines.statuses import Status, StepStatus, step_status
from machines.step import EFFECTFUL, Step
from machines.transitions import DONE, FAILURES, GIVES_UP, Direction, Phase, Trigger

#: First words of the reason of a move that records the reply to a step's probe. No call of the step was sent for such a
#: move. The second and third mean that the call has no attempt left.
PROBED, STILL_UNKNOWN = "probe: ", "still unknown: "
NO_ATTEMPT_LEFT = "its probe says that it was not done, and no attempt is left: "
#: Words in the reason of a refusal that says nothing about an earlier attempt, because that attempt may have worked.
AFTER_DOUBT = ", after an attempt that may have worked"
#: First words of the reason of an undo that was not sent, because the probe did not find what is to be undone.
NOTHING_FOUND = "the probe found nothing to undo, but a call may still be on its way: "
#: First word of the reason of a group's refusal: one of its branches goes back, and others may have done something.
BRANCH = "branch "
#: First words of the reason of a move that records a later answer, or the end of the wait for this answer.
ANSWERED = "callback: "
#: The same for a poll; the number of polls comes first, as in "poll 3: 200".
_POLLED = re.compile(r"poll (\d+): ")
#: HTTP status of a reply that asks to wait. The participant got the call and may have acted on it.
_UNAVAILABLE = 503
#: Trigger of a move → outcome that the move records; moves with other triggers record no outcome.
_OUTCOMES: Mapping[str, Outcome] = MappingProxyType({
    Trigger.SUCCEEDED: Outcome.SUCCEEDED,
    Trigger.ACCEPTED: Outcome.ACCEPTED,
    Trigger.REFUSED: Outcome.REFUSED,
    Trigger.REFUSED_IN_DOUBT: Outcome.IN_DOUBT,
    Trigger.RETRY: Outcome.IN_DOUBT,
    Trigger.EXHAUSTED: Outcome.IN_DOUBT,
    Trigger.DEFER: Outcome.NOT_SENT,
})  # fmt: skip

#: Outcomes that a journal can show. REFUSED_UNDO is absent, because the journal records it as a plain refusal.
RECORDED = tuple(outcome for outcome in Outcome if outcome is not Outcome.REFUSED_UNDO)


class Effect(StrEnum):
    """What a step has left at its participant."""

    NOT_DONE = "not done"
    SKIPPED = "skipped"
    TOOK_EFFECT = "took effect"
    UNDONE = "undone"
    UNKNOWN = "unknown"


class Move(Protocol):
    """A move, with the columns that record the outcome of a call. A move without a call does not fill them."""

    @property
    def trigger(self) -> str: ...
    @property
    def step(self) -> str | None: ...
    @property
    def direction(self) -> str | None: ...
    @property
    def status_code(self) -> int | None: ...


_M = TypeVar("_M", bound=Move)


class Reasoned(Protocol):
    """A move with its reason."""

    @property
    def reason(self) -> str | None: ...


class ReasonedMove(Move, Reasoned, Protocol):
    """A move with the outcome of its call and its reason."""


class JournalEntry(ReasonedMove, Protocol):
    """A row of the journal."""

    @property
    def source(self) -> str | None: ...
    @property
    def dest(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def reply(self) -> Any: ...
    @property
    def actor(self) -> str: ...
    @property
    def duration_ms(self) -> float | None: ...


class Snapshot(Protocol):
    """The columns of a saga that `steps_of` reads besides the saga's journal."""

    @property
    def id(self) -> UUID: ...
    @property
    def state(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def entered_at(self) -> datetime: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """The result, so far, of one step of one saga."""

    step: Step
    #: Position in the table, from 1.
    position: int
    status: StepStatus
    started_at: datetime | None
    completed_at: datetime | None
    compensated_at: datetime | None
    #: Number of times that the action was sent; at least 1 when a probe found that it took effect.
    attempts: int
    #: Retries of the action, counted by `retries`.
    retries: int
    #: Outcome of the last attempt of the action; None: no attempt has an outcome yet.
    outcome: Outcome | None
    input: Any
    output: Any
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The clear answer of a participant to the probe of a step, sent by a person or as the last call of the engine."""

    #: Name of the step.
    step: str
    #: False: the participant did not have it; a call may still be on its way.
    happened: bool
    at: datetime


class Found(StrEnum):
    """What a person has found out about an effect that the journal does not decide."""

    HAPPENED = "happened"
    NOT_HAPPENED = "not_happened"
    PUT_RIGHT = "put_right"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a person has recorded about the unknown effects of a saga that has ended."""

    #: Names of the steps.
    steps: frozenset[str]
    found: Found
    #: The person, such as `user:otto`.
    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class StepEffect:
    """One step that changes something, and its effect according to the journal."""

    step: Step
    effect: Effect
    #: The call that was sent last: the action or the compensation.
    call: Call
    #: Direction of `call`: do for the action, undo for the compensation.
    direction: Direction
    #: True: a person resolved the call; the participant has not confirmed it.
    by_hand: bool = False
    #: Who resolved the call, such as `user:otto`; "": nobody did, or it is not known.
    by: str = ""
    #: True: the participant refused the call.
    refused: bool = False
    #: True: the call is in flight; its reply may come at any moment.
    in_flight: bool = False
    #: True: the undo was not sent, because the probe found nothing. The action may still arrive.
    not_found: bool = False
    #: True: the call is the undo, and nobody knows whether the action took effect that it is for.
    uncertain: bool = False
    #: Why the step was skipped; "": it was not skipped.
    because: str = ""
    #: What the participant answered to a person, where the journal alone does not decide, see machines.answers.
    answer: Answer | None = None
    #: What a person has found out; None: nobody has, or the journal decides.
    finding: Finding | None = None
    #: What the sagas that the step has started have left, beside their ends.
    below: "Sequence[Below]" = ()
    #: True: the step is unknown, or has taken effect, only because something below it is, or has.
    only_below: bool = False


@dataclass(frozen=True, kw_only=True)
class Below:
    """An effect of a saga that a step has started, or of one below it, which its end does not say."""

    #: Definition and short id of the saga.
    saga: str
    effect: StepEffect
    #: True: the effect stays although the saga is compensated.
    stays: bool


def outcome_of_move(trigger: str, status_code: int | None) -> Outcome | None:
    """Return the outcome that a move records; None when it records none. status_code: HTTP status of the reply."""
    if trigger == Trigger.DEFER and status_code == _UNAVAILABLE:
        return Outcome.IN_DOUBT  # the participant asked to wait, but may have acted on the call
    return _OUTCOMES.get(trigger)


def outcome(move: Move) -> Outcome | None:
    """Return the outcome of the call that a row of the journal records; None when the row records no call."""
    return None if move.step is None else outcome_of_move(move.trigger, move.status_code)


def is_probe(move: Reasoned) -> bool:
    """Return True when a row of the journal records the reply to a probe, and not to the call of its step."""
    return move.reason is not None and move.reason.startswith((PROBED, STILL_UNKNOWN, NO_ATTEMPT_LEFT))


def last_attempt(journal: Sequence[JournalEntry]) -> str | None:
    """Return how the last attempt of the call in flight ended that may have worked; None: the journal has none."""
    for row in reversed(journal):
        if row.source != row.dest:
            return None
        if row.trigger == Trigger.RETRY and not is_probe(row):
            return row.reason
    return None


def polled(number: int, reason: str) -> str:
    """Return the reason of a move that records the reply to a poll. number: how many polls were sent so far."""
    return f"poll {number}: {reason}"


def polls(move: Reasoned) -> int:
    """Return how many polls a row of the journal records; 0 when it records none."""
    found = _POLLED.match(move.reason or "")
    return int(found[1]) if found else 0


def sends_call(move: Reasoned) -> bool:
    """Return False when a row records the reply to a probe, a later answer, or the end of the wait for this answer.

    Also return False when the condition of the step could not be decided.
    """
    unsent = move.reason is not None and move.reason.startswith((ANSWERED, UNDECIDED))
    return not (is_probe(move) or unsent or polls(move))


def replies(journal: Sequence[JournalEntry]) -> dict[str, Any]:
    """Return the reply of each step that succeeded, or that a person resolved.

    The reply of an accepted call counts until its answer comes, because the undo of the step may need it.
    """
    return {
        row.step or "": row.reply
        for row in journal
        if row.direction == Direction.DO
        and (row.trigger in DONE or (row.trigger == Trigger.ACCEPTED and row.reply is not None))
    }


def skips(move: Move) -> bool:
    """Return True when a row records that the action of a step was skipped."""
    return move.trigger == Trigger.SKIP and move.direction == Direction.DO


def skipped_steps(journal: Sequence[Move]) -> frozenset[str]:
    """Return the names of the steps that were skipped."""
    return frozenset(row.step for row in journal if skips(row) and row.step is not None)


def cause_of(definition: Saga, journal: Sequence[JournalEntry]) -> str | None:
    """Return the error that made a saga go back, by the rule of `Progress.cause`; None while the saga goes forward."""
    error, cause = None, None
    for entry in as_named_now(journal):
        if entry.trigger in GIVES_UP:
            error = failure(definition, entry.trigger, entry.source or "", entry.dest, entry.actor, entry.reason)
        after = definition.states.get(entry.dest)
        if after is not None and after.phase is Phase.COMPLETED:
            error = None
        if after is not None and goes_back(definition.states.get(entry.source or ""), after):
            cause = error
    return cause


def steps_of(definition: Saga, saga: Snapshot, journal: Sequence[JournalEntry]) -> list[StepResult]:
    """Return every step of the table, in its order, including the steps still to come."""
    found, journal = replies(journal), as_named_now(journal)
    return [_result(definition, saga, number, journal, found) for number in range(1, len(definition.steps) + 1)]


def completed_steps(definition: Saga, saga: Snapshot, journal: Sequence[Move]) -> int:
    """Return the number of completed steps; a compensated step is not completed. `journal` may lack the replies."""
    triggers: dict[tuple[str, str], set[str]] = {}
    for row in journal:
        triggers.setdefault((row.step or "", row.direction or ""), set()).add(row.trigger)
    statuses = (
        step_status(
            definition, step, state=saga.state, status=saga.status,
            action_triggers=triggers.get((step.name, Direction.DO), ()),
            undo_triggers=triggers.get((step.name, Direction.UNDO), ()),
        )
        for step in definition.steps
    )  # fmt: skip
    return sum(status is StepStatus.COMPLETED for status in statuses)


def retries(definition: Saga | None, journal: Sequence[JournalEntry]) -> tuple[int, int]:
    """Find the call with the most retries. Return the number of its retries, and the most that its table allows.

    Without any retry, the second number is that of the first step. A probe is not a retry. When a person retries a
    stuck call, the count starts again from 0. When this release does not have the table, both numbers are equal.
    """
    most, limit, made = 0, definition.steps[0].retry.retries if definition else 0, 0
    for row in as_named_now(journal):
        if row.source != row.dest:
            made = 0
        elif row.trigger == Trigger.RETRY:
            state = definition.states.get(row.dest) if definition else None
            allowed = state.retry.retries if state else made + 1
            made = min(made + 1, allowed)
            if made >= most:
                most, limit = made, allowed
    return most, limit


def effects_of(definition: Saga, state: str, moves: Sequence[ReasonedMove], *, in_doubt: bool) -> list[StepEffect]:
    """Return every step that changes something, in the table's order, with its effect.

    in_doubt: the call of the state that the saga is in may have been sent.
    """
    return [
        _effect(definition, step, state, moves, in_doubt=in_doubt)
        for step in definition.steps
        if step.kind in EFFECTFUL
    ]


def _result(
    definition: Saga, saga: Snapshot, number: int, journal: Sequence[JournalEntry], found: Mapping[str, Any]
) -> StepResult:
    step = definition.steps[number - 1]
    action_moves, undo_moves = _of_step(journal, step)
    entry = step.doing or (definition.steps[number - 2].done if number > 1 else definition.initial)
    entered_at = next((row.at for row in journal if row.dest == entry and row.source != row.dest), None)
    started_at = _started_at(saga, entry, entered_at, action_moves)
    outcomes = [made for row in action_moves if (made := outcome(row))]
    failures = [row for row in action_moves if row.trigger in FAILURES]
    return StepResult(
        step=step,
        position=number,
        status=step_status(
            definition, step, state=saga.state, status=saga.status,
            action_triggers={row.trigger for row in action_moves}, undo_triggers={row.trigger for row in undo_moves},
        ),
        started_at=started_at,
        completed_at=_done_at(action_moves),
        compensated_at=_done_at(undo_moves),
        attempts=_attempts(action_moves) if step.call else 0,
        retries=retries(definition, action_moves)[0],
        outcome=outcomes[-1] if outcomes else None,
        input=_input(step, saga, found) if started_at else None,
        output=found.get(step.name),
        error=failures[-1].reason if failures and not _succeeded(action_moves) else None,
    )  # fmt: skip


def _attempts(done: Sequence[JournalEntry]) -> int:
    """Return how many times the action was sent. After a crash, a probe or a later answer may be the only record."""
    unsent = [not sends_call(row) for row in done]
    sent = sum(
        outcome(row) not in (None, Outcome.NOT_SENT) and not other for row, other in zip(done, unsent, strict=True)
    )
    return max(sent, any(other and row.trigger in DONE for row, other in zip(done, unsent, strict=True)))


def _of_step(moves: Sequence[_M], step: Step) -> tuple[list[_M], list[_M]]:
    """Return the moves of a step's action, and those of its compensation."""
    action_moves = [move for move in moves if move.step == step.name and move.direction == Direction.DO]
    return action_moves, [move for move in moves if move.step == step.name and move.direction == Direction.UNDO]


def _started_at(
    saga: Snapshot, entry: str, entered_at: datetime | None, action_moves: Sequence[JournalEntry]
) -> datetime | None:
    """Return when the step's first call was sent; None while the saga is pending or has not reached the step.

    entry: the state in which the step starts. entered_at: when the saga moved to it. Only a reply records the start of
    its call; before the first reply, the start is when the saga entered the state. A saga that was created first and
    executed later made no move at its execution, but its column `entered_at` has the time of the execution.
    """
    first = next((row for row in action_moves if row.duration_ms is not None), None)
    if entered_at and first:
        return max(entered_at, first.at - timedelta(milliseconds=first.duration_ms or 0.0))
    if saga.status == Status.PENDING:
        return None
    return saga.entered_at if entered_at and saga.state == entry else entered_at


def _done_at(rows: Sequence[JournalEntry]) -> datetime | None:
    return next((row.at for row in reversed(rows) if row.trigger in DONE), None)


def _input(step: Step, saga: Snapshot, found: Mapping[str, Any]) -> Any:
    roots = roots_of(str(saga.id), step.name, Direction.DO)
    if step.call is None:
        return None
    try:
        return step.call.filled_body(saga.data, found, roots)
    except FillError:  # a person resolved an earlier step without its reply
        return None


def _effect(definition: Saga, step: Step, state: str, moves: Sequence[ReasonedMove], *, in_doubt: bool) -> StepEffect:
    action_moves, undo_moves = _of_step(moves, step)
    at = definition.states[state]
    assert step.call is not None, "a step with an effect has a call"
    if skip := next((move for move in action_moves if skips(move)), None):
        return StepEffect(
            step=step, effect=Effect.SKIPPED, call=step.call, direction=Direction.DO, because=skip.reason or ""
        )
    doubted = in_doubt and at.phase in (Phase.FORWARD, Phase.UNDOING)
    in_flight = at.step == step and (at.awaits_answer or at.awaits_child or doubted)
    undoing = in_flight and at.undoes
    if step.undo and (undo_moves or undoing):
        # An undo is sent when the action took effect, when it is in doubt, or when its refusal left something behind.
        certain = _succeeded(action_moves) and not undoing and not any_in_doubt(undo_moves)
        before = Effect.TOOK_EFFECT if certain else Effect.UNKNOWN
        not_found = any((move.reason or "").startswith(NOTHING_FOUND) for move in undo_moves)
        return StepEffect(
            step=step,
            effect=Effect.UNKNOWN if not_found else Effect.UNDONE if _succeeded(undo_moves) else before,
            call=step.undo,
            direction=Direction.UNDO,
            by_hand=_any(undo_moves, Trigger.RESOLVE),
            refused=_any(undo_moves, Trigger.REFUSED) and not _succeeded(undo_moves),
            in_flight=undoing,
            not_found=not_found,
            uncertain=not _any(action_moves, Trigger.SUCCEEDED),
        )
    return StepEffect(
        step=step,
        effect=Effect.UNKNOWN if in_flight else _effect_of_action(action_moves),
        call=step.call,
        direction=Direction.DO,
        by_hand=_any(action_moves, Trigger.RESOLVE),
        refused=_any(action_moves, Trigger.REFUSED),
        in_flight=in_flight,
    )


def _effect_of_action(action_moves: Sequence[ReasonedMove]) -> Effect:
    if _succeeded(action_moves):
        return Effect.TOOK_EFFECT
    unanswered = _any(action_moves, Trigger.ACCEPTED) and not _any(action_moves, Trigger.REFUSED)
    unanswered |= any((move.reason or "").startswith(BRANCH) for move in action_moves)
    return Effect.UNKNOWN if unanswered or any_in_doubt(action_moves) else Effect.NOT_DONE


def _any(moves: Sequence[Move], *triggers: Trigger) -> bool:
    return any(move.trigger in triggers for move in moves)


def _succeeded(moves: Sequence[Move]) -> bool:
    return _any(moves, *DONE)


def was_refused(step: Step, moves: Sequence[ReasonedMove], *, undoes: bool) -> bool:
    """Return True when the participant has refused a call of a step, and no attempt of this call may have worked.

    undoes: True for the compensation of the step.
    """
    of_call = _of_step(moves, step)[undoes]
    return _any(of_call, Trigger.REFUSED) and not any_in_doubt(of_call)


def any_in_doubt(moves: Sequence[ReasonedMove]) -> bool:
    """Return True when an attempt is in doubt. A later refusal does not prove that the attempt had no effect.

    After a crash the refusal may be the only record of that attempt.
    """
    in_doubt = any(outcome_of_move(move.trigger, move.status_code) is Outcome.IN_DOUBT for move in moves)
    return in_doubt or _any(moves, Trigger.QUARANTINE) or any(AFTER_DOUBT in (move.reason or "") for move in moves)
