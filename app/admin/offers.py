"""What a person may ask of a saga where it stands, with what each will lead to: its table's rows, and nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.engine.service import MOVES
from machines.call import Call, FillError
from machines.preview import Preview, Stop, preview
from machines.rows import Phase, State, Trigger
from machines.saga import Saga
from machines.step import Kind


@dataclass(frozen=True, kw_only=True)
class Sending:
    """A call as it will be sent.

    path, body: None while they need replies that have not come yet.
    probe: asked first; when it says that the call was carried out, the call is not sent.
    """

    call: Call
    probe: Call | None
    undoes: bool
    step: str
    path: str | None
    body: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An action that an operator may take.

    action: its name in the service. safe: right whatever the participants have really done.
    needs: reply fields that later calls send on; the operator has to give them.
    """

    action: str
    title: str
    says: str
    safe: bool
    preview: Preview
    sendings: tuple[Sending, ...]
    needs: tuple[str, ...]


def offers(saga: Saga, state: str, data: Mapping[str, Any], results: Mapping[str, Any], *, unsure: bool) -> list[Offer]:
    """Give every move that only a person makes from this state, as the service would make it."""
    at, legal = saga.rows.states[state], saga.rows.asked(state)
    step, offered = at.step.name if at.step else "", []
    for action, rows in MOVES.items():
        if trigger := next((row for row in rows if row in legal), None):
            seen = preview(saga, state, trigger, unsure=unsure)
            title, says, safe = _said(at, trigger, step)
            offer = Offer(
                action=action,
                title=title,
                says=says,
                safe=safe,
                preview=seen,
                sendings=tuple(_sendings(seen.course, data, results)),
                needs=tuple(sorted(saga.needed_fields[step])) if action == "resolve" and not at.undoes else (),
            )
            offered.append(offer)
    return offered


def _said(at: State, trigger: Trigger, step: str) -> tuple[str, str, bool]:
    """Give the move its name, say what it rests on, and whether it is right whatever has really happened."""
    what = f"the undo of {step}" if at.undoes else step
    if trigger is Trigger.RETRY:
        return "Retry now", f"Sends {what} again under the same key: what was done already is not done twice.", True
    if trigger is Trigger.RESOLVE:
        says = f"Goes on as if {what} had succeeded, without asking anybody. Only when you know that it is done."
        return "Resolve by hand", says, False
    if trigger is Trigger.CANCEL:
        return (
            "Cancel",
            "Calls it off: what was done, or may have been, is undone, a call in flight with the rest.",
            True,
        )
    if at.phase is Phase.COMPLETED:
        return "Take back", "It is done, and all of it will be undone, in reverse.", False
    if trigger is Trigger.COMPENSATE_INCLUDING:
        says = f"Undoes all of it, {step} too: an undo does no harm where nothing was done."
    elif at.step and at.step.kind is Kind.PIVOT:
        says = f"Undoes all that came before. Nothing undoes {step}: only when you know that it did not happen."
    else:
        says = "Undoes all that came before."
    return "Compensate", says, not (at.step and at.step.kind is Kind.PIVOT)


def _sendings(course: tuple[Stop, ...], data: Mapping[str, Any], results: Mapping[str, Any]) -> Iterator[Sending]:
    for stop in course:
        if stop.call and stop.state.step:
            path, body = filled(stop.call, data, results)
            step, undoes = stop.state.step.name, stop.state.undoes
            yield Sending(call=stop.call, probe=stop.probe, undoes=undoes, step=step, path=path, body=body)


def filled(
    call: Call, data: Mapping[str, Any], results: Mapping[str, Any]
) -> tuple[str | None, Mapping[str, Any] | None]:
    """Give the path and body that a call is sent with, each None where it cannot be known (yet)."""
    try:
        path = call.filled_path(data, results)
    except (FillError, TypeError):  # TypeError: a step that was resolved by hand with no reply at all
        path = None
    try:
        return path, call.filled_body(data, results)
    except (FillError, TypeError):
        return path, None
