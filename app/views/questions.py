"""Ask a participant about a step of which nobody knows whether it took effect, and what to do then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.errors import ConflictError
from app.services import Services
from app.store import queries
from app.store.answers import ASKED
from app.store.audit import newest_of
from app.store.database import db
from app.store.loading import table_of
from app.store.models import SagaRow
from app.views.known_effects import effects_now
from app.views.summary import unknown_effects
from app.views.titles import participant_title, state_words_in
from diagrams.descriptions import named
from machines.history import PROBED, StepEffect, replies
from machines.outcomes import Outcome
from machines.saga import Saga
from machines.statuses import FINISHED, Status
from machines.step import Kind, Step
from machines.transitions import Phase


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The last question about a saga in its present state, and the answer."""

    actor: str
    at: datetime
    step: str
    participant: str
    outcome: Outcome
    #: The reply to the probe in one line.
    answer: str
    #: Name of the recommended action; "": none of the actions is recommended.
    action: str
    #: What the answer means, and why the action is recommended.
    advice: str


def askable_step(definition: Saga, saga: SagaRow, effects: Sequence[StepEffect]) -> Step | None:
    """Return the step that a person can ask its participant about; None: there is none, or it has no probe."""
    at = definition.states[saga.state]
    if saga.status == Status.STUCK and at.phase is Phase.STUCK and not at.undoes:
        return at.step if at.step and at.step.probe else None
    if saga.status not in FINISHED:
        return None
    return next((effect.step for effect in unknown_effects(effects) if effect.step.probe), None)


def ask(parts: Services, saga: SagaRow, actor: str) -> Any:
    """Send the probe of the step in question, and return the body of the reply without secrets, which is not stored.

    `last_question` returns the answer.
    Raise ConflictError when no step of the saga can be asked about, or when the saga moves.
    """
    journal = queries.journal(saga.id)
    definition = table_of(parts.registry, saga, journal)
    effects = effects_now(definition, saga, journal) if definition else []
    step = askable_step(definition, saga, effects) if definition else None
    if step is None:
        state = state_words_in(definition, saga.state)
        raise ConflictError(
            f"there is nothing to ask: the saga is {saga.status}, in {state}, and only a stuck step or an unknown"
            " effect with a probe= can be asked about",
            saga_id=str(saga.id),
        )
    reply, _ = parts.questions.ask(saga.id, step.name, actor)
    secrets = parts.registry.secrets_of(saga.definition)
    if secrets is None:
        return reply.body
    values = secrets.values(saga.data, {**replies(journal), step.name: reply.body})
    return values.hidden_in(secrets.masked_reply(step.name, reply.body))


def last_question(definition: Saga, saga: SagaRow) -> Asked | None:
    """Return the last question about the saga in its present state; None: nobody has asked."""
    row = newest_of(db.engine, saga.id, ASKED)
    if row is None or row.after["version"] != saga.version:
        return None
    step = next((step for step in definition.steps if step.name == row.after["step"]), None)
    if step is None:
        return None
    outcome, participant = Outcome(row.after["outcome"]), row.after["participant"]
    action, advice = advised(definition, step, outcome, ended=saga.status in FINISHED)
    return Asked(
        actor=row.actor, at=row.at, step=step.name, participant=participant, outcome=outcome,
        answer=row.after["answer"].removeprefix(PROBED), action=action, advice=advice,
    )  # fmt: skip


def answer_json(parts: Services, saga: SagaRow, body: Any) -> dict[str, object]:
    """Return the last question about a saga, which somebody has just asked, as JSON. body: of `ask`."""
    definition = table_of(parts.registry, saga)
    asked = last_question(definition, saga) if definition else None
    if asked is None:
        raise ConflictError("the saga has moved since the question; ask again", saga_id=str(saga.id))
    return {
        "step": asked.step,
        "participant": asked.participant,
        "outcome": asked.outcome,
        "answer": parts.redact(asked.answer),
        "reply": parts.redact(body),
        "action": asked.action or None,
        "advice": asked.advice,
        "asked_at": asked.at.isoformat(),
        "asked_by": asked.actor,
    }


def advised(definition: Saga, step: Step, outcome: Outcome, *, ended: bool) -> tuple[str, str]:
    """Return the recommended action, and why. ended: the saga has ended, so no action is possible."""
    asked = participant_title(step.probe.participant) if step.probe else ""
    if outcome not in (Outcome.SUCCEEDED, Outcome.REFUSED):
        return "", f"{asked} gives no clear answer, so nothing is certain. Ask again later, or ask its people."
    name = named(step.title, step.name)
    happened, lacks = outcome is Outcome.SUCCEEDED, f"{asked} does not have {name}"
    if ended and happened:
        return "", f"{name} has happened. Decide whether it may stay, or undo it at {asked}; then record it."
    if ended:
        return "", f"{lacks}. If no call can still be on its way, record that."
    if happened:
        return "retry", f"{name} has happened: a retry takes this answer and goes on, and does not send it again."
    return _advice_to_go_on(definition, step, lacks)


def _advice_to_go_on(definition: Saga, step: Step, lacks: str) -> tuple[str, str]:
    """Return the recommended action for a stuck step that has not happened, and why."""
    attempts = (at.retry.attempts for at in definition.states.values() if at.step == step and at.phase is Phase.FORWARD)
    if max(attempts, default=1) > 1:
        return "retry", f"{lacks}: a retry sends it again with the same key, so a late call is not done twice."
    if step.kind is Kind.PIVOT or step.undo:
        return "compensate", f"{lacks}, and the table lets it be sent only once: going back is left."
    return "", f"{lacks}, and it cannot be sent again. Do it by hand, then resolve it."
