"""The properties of every wait: a signal that is accepted ends it, and no wait ends early or without a reason."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row

from machines.later import arrival_name
from machines.outcomes import REFUSED, SUCCEEDED, Outcome
from machines.saga import Saga
from machines.send_now import SEND_NOW
from machines.transitions import State, Trigger
from tests.property.tables import NAMES, PAUSE, StepLine, body_of

#: How each trigger shows the outcome of a wait in the journal.
_OUTCOMES = {Trigger.SUCCEEDED: SUCCEEDED, Trigger.REFUSED: REFUSED, Trigger.EXHAUSTED: Outcome.IN_DOUBT}
#: A wait is due at once when it is due before this time is over. It is shorter than every wait of a table.
_SOON = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A signal, or the answer to a step, that was sent to a saga."""

    #: Name under which it is stored.
    name: str
    #: Body of the signal; None: an answer.
    body: dict[str, Any] | None
    accepted: bool
    #: Number of the saga's last move before it was sent.
    after: int


def waiting_states(table: Saga) -> dict[str, State]:
    """Return each state that a signal or an answer ends, by the name under which the signal or answer is stored."""
    waiting = [at for at in table.states.values() if at.waits is not None and at.step is not None]
    return {at.waits.signal or "" if not at.awaits_answer else arrival_name(at.step.name): at for at in waiting}


def an_accepted_signal_ends_the_wait(table: Saga, journal: Sequence[Row[Any]], sent: Sequence[Sent]) -> None:
    """Check that the next move out of the waiting state is that of the signal, whatever else happened meanwhile."""
    for each in sent:
        at = waiting_states(table).get(each.name)
        assert at is not None or not each.accepted, f"{each.name} was accepted, and no step waits for it"
        if at is None:
            continue
        later = [move for move in journal if move.seq > each.after]
        if not each.accepted:
            known = any(other.accepted and other.name == each.name for other in sent)
            assert known or all(move.dest != at.name or move.source == move.dest for move in later), (
                f"{each.name} was refused, and the saga waited for it later"
            )
            continue
        left = [move for move in later if move.source == at.name and move.trigger != Trigger.QUARANTINE]
        if left and each.body is not None:
            assert (left[0].reason or "").startswith(f"signal {each.name} from"), f"not the signal's: {left[0]}"
            assert left[0].reply == each.body, f"not what the signal brought: {left[0]}"
        elif left:
            assert left[0].status_code is not None, f"not the answer's: {left[0]}"


def no_wait_ends_early_or_without_a_reason(
    table: Saga, lines: Sequence[StepLine], journal: Sequence[Row[Any]], ends: Sequence[int]
) -> None:
    """Check each move out of a wait for a signal or a time.

    ends: the numbers of the saga's last moves at the times when all waits were over.
    """
    entered = 0
    for move in journal[1:]:
        at = table.states[move.source]
        if at.waits is not None and not at.awaits_answer and move.trigger in _OUTCOMES:
            line = lines[NAMES.index(at.step.name)]
            assert _ended_well(at, line, move, over=any(entered <= end < move.seq for end in ends)), f"ended by {move}"
        entered = move.seq if move.source != move.dest else entered


def _ended_well(at: State, line: StepLine, move: Row[Any], *, over: bool) -> bool:
    """Return True when the move follows from a signal, from the time, or from an operator who ended a pause."""
    outcome, goes_back = _OUTCOMES[move.trigger], at.step.refused is not None
    if (move.reason or "").startswith("signal "):
        refuses = goes_back and move.reply == body_of(line, refuses=True)
        return bool(outcome == (REFUSED if refuses else SUCCEEDED))
    if line.kind is PAUSE:
        return outcome == SUCCEEDED and (over or move.reason == SEND_NOW)
    at_end = line.over if line.over is SUCCEEDED and not line.approves else REFUSED if goes_back else Outcome.IN_DOUBT
    return over and outcome == at_end


def a_wait_is_due_when_its_signal_has_come(table: Saga, saga: Row[Any], arrived: Collection[str]) -> None:
    """Check that no saga waits for what it has received. arrived: names of the stored signals and answers."""
    at = table.states[saga.state]
    if at.waits is None or saga.status != "waiting" or saga.owner is not None:
        return
    name = arrival_name(at.step.name) if at.awaits_answer else at.waits.signal
    assert name not in arrived or saga.due_at < datetime.now(UTC) + _SOON, f"{name} has come, and the saga waits on"
