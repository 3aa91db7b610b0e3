"""The actions of the operator: make the requested move, and describe its result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.access.principal import Principal
from app.access.signals import require_role
from app.admin.field_forms import entered, nested, value_of
from app.engine.service import SagaService
from app.services import Services
from app.store.arrivals import Signal
from app.store.instance import SagaSnapshot
from app.store.models import SagaRow
from app.views.formatting import cause
from app.views.signals import signal_body, signal_entry, signal_step
from app.views.titles import known_table, reason_words, state_words_in
from app.views.validation import Resolution, load
from machines import send_now
from machines.saga import Saga
from machines.statuses import FINISHED, Status


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A message to the operator."""

    #: One of `done`, `warning`, `conflict` and `wrong`.
    kind: str
    text: str
    #: A reply of a participant, which is shown below the text; None: there is none.
    body: Any = None


def act(  # noqa: PLR0917
    parts: Services, saga: SagaRow, actor: str, action: Mapping[str, Any], reply: Mapping[str, str], wait_s: float
) -> Notice:
    """Make the requested move, and describe its result.

    Raise ConflictError when the saga has left the state that the operator saw, and InvalidError for a wrong reply.

    action: the validated form.
    reply: the fields of a resolution's reply, as the operator entered them.
    """
    return notice_of(
        known_table(parts.registry, saga), action["seen"], move(parts.sagas, saga.id, actor, action, reply, wait_s)
    )


def move(  # noqa: PLR0917
    sagas: SagaService, saga_id: UUID, actor: str, action: Mapping[str, Any], reply: Mapping[str, str], wait_s: float
) -> SagaSnapshot:
    """Make the requested move and return the saga's state afterwards. The parameters and errors are those of `act`."""
    seen, reason = action["seen"], action["reason"]
    match action["action"]:
        case "retry":
            return sagas.retry(saga_id, actor, reason, wait_s, seen=seen)
        case send_now.SEND_NOW:
            return sagas.send_now(saga_id, actor, reason, wait_s, seen=seen)
        case "resolve":
            given = nested({name: value_of(text) for name, text in reply.items()})
            checked = load(Resolution(), {"reason": reason, "reply": given})["reply"]
            return sagas.resolve(saga_id, actor, reason, checked, wait_s, seen=seen)
        case _:
            return sagas.compensate(saga_id, actor, reason, wait_s, seen=seen)


def signal(  # noqa: PLR0917
    parts: Services, saga: SagaRow, name: str, given: Mapping[str, str], sender: Principal, wait_s: float
) -> Notice:
    """Send a signal to the saga, and describe the result. given: the fields of its body, as the operator entered them.

    Raise ConflictError, ForbiddenError, InvalidError or NotFoundError.
    """
    definition, step = signal_step(parts.registry, saga, name)
    require_role(step, sender, saga)
    brings = step.waits.brings if step.waits else {}
    sent = Signal(name=name, body=signal_body(definition, step, entered(brings, given)), sender=sender.actor)
    seen, entry = saga.state, signal_entry(saga, sent)
    return notice_of(definition, seen, parts.sagas.signal(saga.id, sent, wait_s, entry=entry))


def notice_of(definition: Saga | None, seen: str, now: SagaSnapshot) -> Notice:
    """Describe the result of a move. seen: the saga's state before the move. now: the saga after the move."""
    before, after = state_words_in(definition, seen), state_words_in(definition, now.state)
    if now.status == Status.STUCK:
        again = "again " if now.state == seen else ""
        return Notice(
            kind="warning",
            text=f"The move was made, and the saga has stopped {again}in {after}: {reason_words(cause(now.error))}.",
        )
    if now.status in FINISHED:
        return Notice(kind="done", text=f"Done: the saga went from {before} to {after}; it is {now.status}.")
    if now.state == seen:
        return Notice(kind="done", text=f"Done: the next attempt is made; the saga is {now.status}, in {after}.")
    return Notice(kind="done", text=f"Done: the saga has left {before} and is {now.status}, in {after}.")
