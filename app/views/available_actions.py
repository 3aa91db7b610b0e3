"""The actions that a person may take on a saga in its present state, each with its preview.

The transitions of the saga's table decide which actions are possible.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from app.engine.actions import why_not_back
from app.store.arrivals import Arrivals
from app.store.models import SagaRow
from machines.call import Call
from machines.conditions import Condition
from machines.preview import Known, Preview, Stop, preview, preview_send_now
from machines.progress import OPERATOR_ACTIONS, trigger_of
from machines.references import FillError, end_name, roots_of
from machines.saga import Saga
from machines.send_now import SEND_NOW, why_not_sent_now
from machines.statuses import REPORTED
from machines.step import Kind
from machines.transitions import Direction, Phase, State, Trigger


@dataclass(frozen=True, kw_only=True)
class PlannedCall:
    """A call that an action will send."""

    call: Call
    #: The probe that is sent before `call`; None without one. When it finds that `call` took effect, `call` is not
    #: sent.
    probe: Call | None
    undoes: bool
    step: str
    #: None while the path needs a reply that has not come yet.
    path: str | None
    #: None while the body needs a reply that has not come yet.
    body: Mapping[str, Any] | None
    #: Condition that a reply to come will decide; None: the call is certainly sent.
    only_when: Condition | None = None
    #: True: the call of `at_end=`, which is sent after the saga has ended, until it is delivered.
    after_end: bool = False


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
    calls: tuple[PlannedCall, ...]
    #: Reply fields that later calls need; the person has to enter them.
    needs: tuple[str, ...]
    #: Why the saga refuses this action at the moment, although its table has it; "": it does not.
    why_not: str = ""


class CallKey(NamedTuple):
    """The parts of a call's idempotency key."""

    saga_id: UUID
    step: str
    direction: str


def action_names(saga: Saga, state: str) -> list[str]:
    """Return the names of the actions that the table allows in a state."""
    return [name for name in OPERATOR_ACTIONS if trigger_of(name, saga, state)]


def refused_actions(arrivals: Arrivals, saga: Saga, row: SagaRow) -> dict[str, str]:
    """Return the actions that the table allows and the saga refuses in its present state, each with the reason."""
    if not row.arrived or trigger_of("compensate", saga, row.state) is not Trigger.COMPENSATE:
        return {}
    why_not = why_not_back(arrivals, row.id, saga.states[row.state])
    return {"compensate": why_not} if why_not else {}


def sends_now(saga: Saga, row: SagaRow) -> bool:
    """Return True when *send now* is possible for the saga of the row, see machines.send_now."""
    held, tries = row.owner is not None, row.attempt + row.deferrals
    return why_not_sent_now(saga.states[row.state], row.status, held=held, tries=tries) is None


def available_actions(
    saga: Saga, state: str, saga_id: UUID, known: Known, *, in_doubt: bool, send_now: bool = False,
    refused: Mapping[str, str] = MappingProxyType({}),
) -> list[AvailableAction]:  # fmt: skip
    """Return every action that the table allows in a state.

    in_doubt: True when the call of the state may have been sent. send_now: see `sends_now`. refused: see
    `refused_actions`.
    """
    at = saga.states[state]
    step, available = at.step.name if at.step else "", []
    if send_now:
        seen = preview_send_now(saga, state, in_doubt=in_doubt, known=known)
        calls = tuple(_planned_calls(seen.course, saga_id, known.data, known.results))
        title, description = _send_now_explained(at, step)
        available.append(AvailableAction(
            name=SEND_NOW, title=title, description=description, safe=True, preview=seen, calls=calls, needs=(),
        ))  # fmt: skip
    for name in OPERATOR_ACTIONS:
        if trigger := trigger_of(name, saga, state):
            seen = preview(saga, state, trigger, in_doubt=in_doubt, known=known)
            title, description, safe = _explained(at, trigger, step)
            action = AvailableAction(
                name=name,
                title=title,
                description=description,
                safe=safe,
                preview=seen,
                calls=tuple(_planned_calls(seen.course, saga_id, known.data, known.results)),
                needs=tuple(sorted(saga.needed_fields[step])) if name == "resolve" and not at.undoes else (),
                why_not=refused.get(name, ""),
            )
            available.append(action)
    return available


def filled(call: Call, key: CallKey, data: Mapping[str, Any], results: Mapping[str, Any]) -> tuple[str | None, Any]:
    """Return the path and the body of a call. Either is None while it needs a reply that has not come yet."""
    roots = roots_of(str(key.saga_id), key.step, key.direction)
    try:
        path = call.filled_path(data, results, roots)
    except FillError:
        path = None
    try:
        return path, call.filled_body(data, results, roots)
    except FillError:
        return path, None


def _send_now_explained(at: State, step: str) -> tuple[str, str]:
    """Return the title and the description of *send now*."""
    if at.is_pause:
        return "End the pause", f"Ends {step} now, and goes on with the next step."
    call = f"the undo of {step}" if at.undoes else f"the probe of {step}" if at.awaits_answer else step
    return "Send now", f"Makes the next attempt of {call} at once, even while the circuit breaker is open."


def _explained(at: State, trigger: Trigger, step: str) -> tuple[str, str, bool]:
    """Return the title and the description of an action, and whether it is safe."""
    call = f"the undo of {step}" if at.undoes else step
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


def _planned_calls(
    course: tuple[Stop, ...], saga_id: UUID, data: Mapping[str, Any], results: Mapping[str, Any]
) -> Iterator[PlannedCall]:
    for stop in course:
        if (call := stop.state.at_end) is not None:
            name = end_name(REPORTED[stop.state.phase])
            path, body = filled(call, CallKey(saga_id, name, Direction.DO), data, results)
            yield PlannedCall(call=call, probe=None, undoes=False, step=name, path=path, body=body, after_end=True)
        if stop.call and stop.state.step:
            step, undoes = stop.state.step.name, stop.state.undoes
            path, body = filled(stop.call, CallKey(saga_id, step, stop.state.direction), data, results)
            yield PlannedCall(
                call=stop.call, probe=stop.probe, undoes=undoes, step=step, path=path, body=body,
                only_when=stop.only_when,
            )  # fmt: skip
