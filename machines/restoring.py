"""What a commit stores of a saga's call in flight, and the saga that a process reads from it later."""

from collections.abc import Sequence
from typing import Any

from machines.history import cause_of, last_attempt, replies, skipped_steps, was_refused
from machines.progress import may_have_been_sent
from machines.renaming import MIGRATE, as_named_now
from machines.running import RunningSaga
from machines.statuses import Status
from machines.transitions import Phase, State


def stored_in_doubt(saga: RunningSaga, *, held: bool) -> bool:
    """Return if the call of a saga is stored as in doubt.

    held: the process keeps the saga after the commit, so it may send the call before its next commit.
    """
    return saga.in_doubt or (held and saga.current.call is not None)


def restored_in_doubt(at: State | None, row: Any, own_claims: int) -> bool:
    """Return if the call of a stored saga is in doubt for the process that reads it. own_claims: its own claims."""
    # A process that claims a waiting saga sends no call, so its claim does not put the saga in doubt.
    if at is not None and at.waits:
        return bool(row.unsure)
    return may_have_been_sent(in_doubt=row.unsure, claims=row.claims, own_claims=own_claims)


def restore(saga: RunningSaga, row: Any, journal: Sequence[Any]) -> None:
    """Set what the row and the journal of a saga say, except its times."""
    saga.claims, saga.failed_attempts, saga.deferrals = row.claims, row.attempt, row.deferrals
    saga.error, saga.arrived, saga.pending = row.error, row.arrived, row.status == Status.PENDING
    saga.next_seq = journal[-1].seq + 1
    last = next(entry for entry in reversed(journal) if entry.trigger != MIGRATE)
    saga.waits_for = last.reason if last.source == last.dest else None
    if saga.in_doubt and (error := last_attempt(journal)):
        saga.last_error = saga.state, error
    saga.results = replies(journal)
    if saga.definition.conditional:
        saga.skipped = skipped_steps(journal)
    at = saga.current
    if at.phase is Phase.STUCK and at.step is not None:
        saga.was_refused = was_refused(at.step, as_named_now(journal), undoes=at.undoes)
    if at.undoes:
        saga.cause = cause_of(saga.definition, journal)
