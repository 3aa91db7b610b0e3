"""One saga as its page tells it: what happened, what is owed, and what may be done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.admin.gantt import Gantt, gantt
from app.admin.offers import Offer, filled, offers
from app.admin.owed import Owed, owed
from app.api.views import outcome
from app.participants.outcome import Outcome
from app.store.loading import may_be_sent
from app.store.models import JournalRow, SagaRow
from machines.call import Call
from machines.rows import Phase, State, Trigger
from machines.saga import Saga


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One attempt of a call: what was sent, and what came back. key: what its participant knows it by."""

    row: JournalRow
    outcome: Outcome | None
    call: Call
    path: str | None
    body: Mapping[str, Any] | None
    key: str


@dataclass(frozen=True, kw_only=True)
class Story:
    """What has happened to a saga.

    asked: step that changes something → path and body of the call that `owed` is about.
    unsure: the call of the saga's state may have been sent.
    """

    saga: Saga
    at: State
    verdict: str
    owed: Sequence[Owed]
    offers: Sequence[Offer]
    asked: Mapping[str, tuple[str | None, Any]]
    gantt: Gantt | None
    exchanges: Mapping[int, Exchange]
    unsure: bool


def story(definition: Saga, row: SagaRow, journal: Sequence[JournalRow]) -> Story:
    results = results_of(journal)
    unsure = may_be_sent(row) and row.status != "pending"
    at = definition.rows.states[row.state]
    debts = owed(definition, row.state, journal, unsure=unsure)
    return Story(
        saga=definition,
        at=at,
        verdict=_verdict(row, at),
        owed=debts,
        asked={item.step.name: filled(item.call, row.data, results) for item in debts},
        offers=offers(definition, row.state, row.data, results, unsure=unsure),
        gantt=gantt(journal),
        exchanges=dict(_exchanges(definition, row, journal, results)),
        unsure=unsure,
    )


def results_of(journal: Sequence[JournalRow]) -> dict[str, Any]:
    """Give the reply of each step that succeeded, or that a person said for it."""
    answered = (Trigger.SUCCEEDED, Trigger.RESOLVE)
    return {row.step or "": row.reply for row in journal if row.trigger in answered and row.direction == "do"}


def _exchanges(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], results: Mapping[str, Any]
) -> Iterator[tuple[int, Exchange]]:
    steps = {step.name: step for step in definition.steps}
    for number, row in enumerate(journal):
        step = steps.get(row.step or "")
        call = (step.undo if row.direction == "undo" else step.call) if step else None
        if step is None or call is None or row.duration_ms is None:
            continue
        path, body = filled(call, saga.data, results)
        yield (
            number,
            Exchange(
                row=row,
                outcome=outcome(row),
                call=call,
                path=path,
                body=body if call.method != "GET" else None,
                key=f"{saga.id}/{step.name}/{row.direction}",
            ),
        )


def _verdict(row: SagaRow, at: State) -> str:
    """Say in one sentence how it stands."""
    what = f"{'the undo of ' if at.undoes else ''}{at.step.name}" if at.step else ""
    call = (at.step.undo if at.undoes else at.step.call) if at.step else None
    who = call.participant if call else ""
    match at.phase:
        case Phase.STUCK:
            return f"The engine has stopped at {what} and will not go on by itself. {who} knows whether it happened."
        case Phase.COMPLETED:
            return "It is done: every step succeeded."
        case Phase.COMPENSATED:
            return "It was called off, and all that it had done is undone."
        case _ if row.status == "pending":
            return "It was created, and nobody has asked yet that it begin."
        case Phase.UNDOING:
            return f"It is being undone: {who} is asked to take back {at.step.name if at.step else ''}."
        case _:
            return f"It is under way: {who} is asked for {what}."
