"""The actions that a person may take on a saga in its present state, each with its preview.

The transitions of the saga's table decide which actions are possible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from app.engine.actions import why_not_back, why_paused
from app.engine.service import SagaService
from app.services import Services
from app.store.loading import is_in_doubt
from app.store.models import JournalRow, SagaRow
from app.views.effects import answer_words, step_words
from app.views.planned_calls import Kin, Planned, planned_calls
from app.views.titles import participant_title
from machines.by_hand import needed_by_hand
from machines.families import Place
from machines.history import StepEffect, replies, skipped_steps
from machines.preview import Known, Preview, preview, preview_send_now
from machines.progress import OPERATOR_ACTIONS, Walk, trigger_of
from machines.saga import Saga
from machines.send_now import SEND_NOW, why_not_sent_now
from machines.statuses import Status
from machines.step import Kind, Step
from machines.transitions import Phase, State, Trigger


@dataclass(frozen=True, kw_only=True)
class AvailableAction:
    """An action that a person may take."""

    #: retry, compensate, resolve or send_now.
    name: str
    title: str
    description: str
    #: True when the action is correct in every case, whether the calls so far took effect or not.
    safe: bool
    preview: Preview
    planned: Planned
    #: Reply fields that later calls need; the person has to enter them.
    needs: tuple[str, ...]
    #: Why the saga refuses this action at the moment, although its table has it; "": it does not.
    why_not: str = ""
    #: What the participant answered to a person that speaks against this action, as a sentence; "": nothing does.
    warning: str = ""


def action_names(saga: Saga, state: str) -> list[str]:
    """Return the names of the actions that the table allows in a state."""
    return [name for name in OPERATOR_ACTIONS if trigger_of(name, saga, state)]


def refused_actions(sagas: SagaService, saga: Saga, row: SagaRow, results: Mapping[str, Any]) -> dict[str, str]:
    """Return the actions that the table allows and the saga refuses in its present state, each with the reason.

    results: the reply of each step.
    """
    found: dict[str, str | None] = {}
    if row.parent_id is not None or saga.starts_others:
        here = _walk(saga, row, results)
        place = Place(id=row.id, parent_id=row.parent_id, status=row.status)
        for name in OPERATOR_ACTIONS:
            if trigger := trigger_of(name, saga, row.state):
                found[name] = sagas.families.why_not_in(here, place, trigger)
    if row.arrived and trigger_of("compensate", saga, row.state) is Trigger.COMPENSATE:
        found["compensate"] = found.get("compensate") or why_not_back(sagas.arrivals, row.id, saga.states[row.state])
    return {name: why_not for name, why_not in found.items() if why_not}


def sends_now(saga: Saga, row: SagaRow) -> bool:
    """Return True when *send now* is possible for the saga of the row, see machines.send_now."""
    held, tries = row.owner is not None, row.attempt + row.deferrals
    return why_not_sent_now(saga.states[row.state], row.status, held=held, tries=tries) is None


def actions_of(
    parts: Services, saga: Saga, row: SagaRow, journal: Sequence[JournalRow], effects: Sequence[StepEffect]
) -> list[AvailableAction]:
    """Return the actions that are possible on a stored saga.

    row and journal: as `shown` returns them. effects: of `effects_now`.
    """
    results = replies(journal)
    return available_actions(
        saga,
        row.state,
        row.id,
        Known(data=row.data, results=results, skipped=skipped_steps(journal)),
        in_doubt=is_in_doubt(row) and row.status != Status.PENDING,
        send_now=sends_now(saga, row),
        refused=refused_actions(parts.sagas, saga, row, results)
        | {SEND_NOW: why_paused(saga.states[row.state], parts.pauses.names.__contains__, participant_title)},
        by_branches=_by_branches(parts.sagas, saga, row, results),
        answered=_answered(saga.states[row.state], effects),
        kin=Kin(registry=parts.registry) if saga.starts_others else None,
    )


def _by_branches(sagas: SagaService, saga: Saga, row: SagaRow, results: Mapping[str, Any]) -> Mapping[str, Any]:
    return sagas.families.known_results(_walk(saga, row, results), row.id) if saga.starts_others else {}


def _walk(saga: Saga, row: SagaRow, results: Mapping[str, Any]) -> Walk:
    """Return a trial saga in the state of a stored one."""
    here = Walk(saga, row.state)
    here.data, here.results = row.data, dict(results)
    return here


def _answered(at: State, effects: Sequence[StepEffect]) -> StepEffect | None:
    """Return the effect of the step that a saga is stuck at, when its participant has answered a person about it."""
    found = effects if at.phase is Phase.STUCK and not at.undoes else ()
    return next((each for each in found if each.step == at.step and each.answer), None)


def available_actions(
    saga: Saga, state: str, saga_id: UUID, known: Known, *, in_doubt: bool, send_now: bool = False,
    refused: Mapping[str, str] = MappingProxyType({}), kin: Kin | None = None, answered: StepEffect | None = None,
    by_branches: Mapping[str, Any] = MappingProxyType({}),
) -> list[AvailableAction]:  # fmt: skip
    """Return every action that the table allows in a state.

    in_doubt: True when the call of the state may have been sent. send_now: see `sends_now`. refused: see
    `refused_actions`. kin: the children of the saga; None: it has none, and its table starts none. answered: see
    `_answered`. by_branches: what the completed branches of a stuck group keep.
    """
    at = saga.states[state]
    available = []
    if send_now:
        seen = preview_send_now(saga, state, in_doubt=in_doubt, known=known)
        planned = planned_calls(seen.course, saga, saga_id, known, kin)
        title, description = _send_now_explained(at)
        available.append(AvailableAction(
            name=SEND_NOW, title=title, description=description, safe=True, preview=seen, planned=planned,
            needs=(), why_not=refused.get(SEND_NOW, ""),
        ))  # fmt: skip
    for name in OPERATOR_ACTIONS:
        if trigger := trigger_of(name, saga, state):
            seen = preview(saga, state, trigger, in_doubt=in_doubt, known=known)
            title, description, safe = explained(at, trigger)
            gives = at.step if name == "resolve" and not at.undoes else None
            action = AvailableAction(
                name=name,
                title=title,
                description=description,
                safe=safe,
                preview=seen,
                planned=planned_calls(seen.course, saga, saga_id, known, kin),
                needs=needed_by_hand(saga, gives, known.data, known.results, by_branches) if gives else (),
                why_not=refused.get(name, ""),
                warning=_warning(trigger, answered) if answered else "",
            )
            available.append(action)
    return available


def _send_now_explained(at: State) -> tuple[str, str]:
    """Return the title and the description of *send now*."""
    step = step_words(at.step) if at.step else ""
    if at.is_pause:
        return "End the pause", f"Ends {step} now, and goes on with the next step."
    call = f"the undo of {step}" if at.undoes else f"the probe of {step}" if at.awaits_answer else step
    return "Send now", f"Makes the next attempt of {call} at once, even while the circuit breaker is open."


def explained(at: State, trigger: Trigger) -> tuple[str, str, bool]:
    """Return the title and the description of an action on any saga in a state, and whether it is safe."""
    step = step_words(at.step) if at.step else ""
    call = f"the undo of {step}" if at.undoes else step
    if trigger is Trigger.RETRY and at.step is not None and at.step.starts is not None:
        return "Retry now", _restart_explained(at, at.step), True
    if trigger is Trigger.RETRY:
        return "Retry now", f"Sends {call} again with the same key: what was done already is not done twice.", True
    if trigger is Trigger.RESOLVE:
        description = (
            f"Continues as if {call} had succeeded, and sends no call. Use it only when you know that it is done."
        )
        return "Resolve by hand", description, False
    if trigger is Trigger.CANCEL:
        description = "Cancels the saga: everything that was or may have been done is undone, a call in flight too."
        return "Cancel this saga", description, True
    if at.phase is Phase.COMPLETED:
        return "Take back", "The saga is completed. All of its steps will be undone, in reverse order.", False
    if trigger is Trigger.COMPENSATE_INCLUDING:
        description = f"Undoes all steps, {step} too. An undo does no harm where nothing was done."
    elif at.step and at.step.kind is Kind.PIVOT:
        only = f"use it only when you know that {step} did not happen"
        description = f"Undoes all steps before {step}. Nothing undoes {step}: {only}."
    else:
        description = "Undoes all steps before this one."
    return "Compensate", description, not (at.step and at.step.kind is Kind.PIVOT)


def _warning(trigger: Trigger, answered: StepEffect) -> str:
    """Return what an answer says against a move, as a sentence; "": nothing."""
    assert answered.answer is not None
    words = f"{answer_words(answered)}."
    if trigger is Trigger.COMPENSATE:
        stays = f"Nothing undoes {step_words(answered.step)}, so it stays."
        return f"{words} {stays if answered.answer.happened else 'A call may have arrived later.'}"
    if trigger is Trigger.RESOLVE and not answered.answer.happened:
        return f"{words} Resolve it only when you have done it since."
    return ""


def _restart_explained(at: State, step: Step) -> str:
    """Return what a retry of a step that starts other sagas does."""
    if at.undoes:
        return f"Waits again until the sagas that {step_words(step)} has started are compensated."
    if step.group is not None:
        return f"Starts each branch of {step_words(step)} that was compensated again, as a new saga with new keys."
    return f"Starts another saga {step.starts}, with new keys, when the one before is compensated."
