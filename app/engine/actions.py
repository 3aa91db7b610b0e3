"""The moves that operators request. A function makes the moves of one request; the caller commits them."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from app.engine.engine import Engine
from app.errors import ConflictError, InvalidError
from app.store.arrivals import Arrivals
from app.store.instance import Instance
from machines.by_hand import with_known
from machines.later import arrival_name
from machines.loop import IncompleteReplyError
from machines.outcomes import Outcome
from machines.progress import OPERATOR_ACTIONS, trigger_of
from machines.send_now import SEND_NOW, why_not_sent_now
from machines.transitions import Phase, State, Trigger


def take_action(  # noqa: PLR0917
    engine: Engine, name: str, actor: str, reason: str, saga: Instance, reply: Mapping[str, Any] | None = None
) -> None:
    """Make the move of the action `name`. Raise ConflictError when the saga's table does not allow it.

    reply: for a resolve, the reply that the step would have got. Raise InvalidError when a needed field is missing.
    """
    trigger = _trigger(engine, name, saga)
    if saga.pending:
        saga.start_pending()
    while saga.current.waits and saga.arrived and engine.take_arrival(saga):
        # The signal or answer arrived before the request, so the request applies to the saga after it.
        trigger = _trigger(engine, name, saga)
    if why_not := engine.families.why_not(saga, trigger) or _why_not_back(engine, saga, trigger):
        raise ConflictError(why_not, saga_id=str(saga.id), etat_final=saga.state)
    if trigger is Trigger.RESOLVE:
        reply = with_known(reply or {}, engine.families.known_results(saga, saga.id))
    try:
        engine.request_move(saga, trigger, actor, reason, reply)
    except IncompleteReplyError as error:
        raise InvalidError(("/reply", f"later calls need the reply of the participant: give {error}")) from None


def _why_not_back(engine: Engine, saga: Instance, trigger: Trigger) -> str | None:
    if trigger is not Trigger.COMPENSATE or not saga.arrived:
        return None
    return why_not_back(engine.waits.arrivals, saga.id, saga.current)


def why_not_back(arrivals: Arrivals, saga_id: UUID, at: State) -> str | None:
    """Return why a saga must not go back past its stuck step: the participant has answered that the step is done."""
    if at.phase is not Phase.STUCK or at.undoes or at.step is None:
        return None
    answer = arrivals.find(saga_id, arrival_name(at.step.name))
    if answer is None or answer.body["outcome"] != Outcome.SUCCEEDED:
        return None
    return f"the participant has answered that the step {at.step.name} is done; retry the step, which takes the answer"


def send_now(engine: Engine, actor: str, reason: str, saga: Instance) -> None:
    """End the pause of a saga. The next attempt of a saga that backs off follows the commit.

    A circuit breaker does not hold this one attempt back, because a person has decided to make it.
    Raise ConflictError when the saga has neither a pause nor a wait before an attempt, and when its participant is
    paused.
    """
    at = saga.current
    tries = saga.failed_attempts + saga.deferrals
    if refusal := why_not_sent_now(at, saga.status, held=saga.held, tries=tries):
        refusal = _why_waits(engine, saga) or refusal
        raise ConflictError(refusal, saga_id=str(saga.id), etat_final=saga.state)
    if why_not := why_paused(at, engine.is_paused):
        raise ConflictError(why_not, saga_id=str(saga.id), etat_final=saga.state)
    saga.prepare_audit(SEND_NOW, actor, reason)
    if at.is_pause:
        saga.end_wait(Outcome.SUCCEEDED, reason=reason, actor=actor)
    else:
        saga.sent_now = saga.next_attempt


def why_paused(at: State, is_paused: Callable[[str], bool], title: Callable[[str], str] = str) -> str:
    """Return why nothing is sent from a state: a person has paused its participant; "": nobody has.

    title: the name of the participant as its reader knows it.
    """
    participant = at.poll.participant if at.poll else at.participant
    if at.is_pause or not participant or not is_paused(participant):
        return ""
    return f"{title(participant)} is paused, so nothing would be sent; resume it first"


def _trigger(engine: Engine, name: str, saga: Instance) -> Trigger:
    trigger = trigger_of(name, saga.definition, saga.state)
    if trigger is None:
        raise ConflictError(_why_waits(engine, saga) or _why_not(saga), saga_id=str(saga.id), etat_final=saga.state)
    return trigger


def _why_waits(engine: Engine, saga: Instance) -> str | None:
    if saga.pending:
        return None
    why = engine.families.why_waits(saga.id, saga.current)
    return why and f"the saga is {saga.status}, in {saga.state}: {why}"


def _why_not(saga: Instance) -> str:
    if saga.current.phase is Phase.COMPENSATED:
        return f"the saga has ended in {saga.state}: everything is undone"
    pivot = next((step.name for step in saga.definition.steps if step.kind == "pivot"), None)
    if saga.current.phase is Phase.COMPLETED and pivot:
        return f"the saga has ended in {saga.state}: its pivot {pivot} has succeeded, so it cannot go back"
    allowed = [name for name in OPERATOR_ACTIONS if trigger_of(name, saga.definition, saga.state)]
    possible = f"; possible now: {', '.join(allowed)}" if allowed else ""
    return f"the saga is {saga.status}, in {saga.state}; its table has no such move from this state{possible}"
