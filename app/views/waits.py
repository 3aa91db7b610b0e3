"""What a saga waits for, in words: a signal, an answer, the end of a pause, or the next attempt of a call."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.calls.breakers import open_reason
from app.calls.pauses import pause_reason
from app.services import services
from app.store import queries
from app.store.loading import table_of
from app.store.models import JournalRow, SagaRow
from app.store.saga_ids import short_id
from app.views.formatting import brief, duration
from app.views.masking import shown
from app.views.polls import Polls, polls_of
from app.views.states import participant_of, state_of, waits_at
from app.views.titles import participant_title, saga_words, started_words, state_words
from diagrams.descriptions import named
from machines.children import ChildEnd, Group
from machines.history import replies
from machines.references import FillError, look_up
from machines.registry import Registry
from machines.saga import Saga
from machines.send_now import backs_off
from machines.statuses import Status
from machines.transitions import State


@dataclass(frozen=True, kw_only=True)
class Wait:
    """The wait of one saga."""

    #: What is waited for: `signal agree, 1 d at most`, or `stock (breaker was open)`. Children have identifiers.
    subject: str
    #: End of the wait, or time of the next attempt; None: a process holds the saga at the moment.
    until: datetime | None
    #: True: the saga backs off, and makes the next attempt of a call at `until`.
    backs_off: bool
    #: Polls of a saga that asks for an answer; None: it does not ask.
    polls: Polls | None = None
    #: Participant that a saga which backs off waits for, as people read it, and why.
    whom: str = ""
    why: str = ""
    #: Participant of the next call or poll, while a person has paused it: nothing is sent. "": it is not paused.
    paused: str = ""
    #: The children that are waited for, with their titles; "": the saga waits for none.
    children: str = ""


@dataclass(frozen=True, kw_only=True)
class Family:
    """The sagas around one saga that its reader may see."""

    #: Saga whose step has started this one; None: none.
    parent: UUID | None = None
    #: Sagas that the steps of this one have started.
    children: Sequence[Row[Any]] = ()
    #: The stuck ones among the children and the sagas below them, see `queries.stuck_below`.
    stuck: Sequence[Row[Any]] = ()


#: A saga without a parent and without children, or one whose family was not read.
ALONE = Family()


def family_of(definition: Saga | None, saga: SagaRow, reach: queries.Reach = None) -> Family:
    """Return the sagas around a saga. A table that starts no other sagas costs no query."""
    parent = queries.parent_of(saga, reach)
    if definition is not None and not definition.starts_others:
        return Family(parent=parent)
    children = queries.children(saga.id, reach)
    waits = definition is not None and definition.states[saga.state].awaits_child
    return Family(parent=parent, children=children, stuck=queries.stuck_below(saga.id, reach) if waits else ())


def is_backing_off(saga: SagaRow | Row[Any]) -> bool:
    """Return True when the saga waits before its next attempt."""
    return backs_off(saga.status, held=saga.owner is not None, tries=saga.attempt + saga.deferrals)


def waits_for(at: State | None, saga: SagaRow | Row[Any]) -> str:
    """Return the participant that a saga which backs off waits for; "": it waits for none. at: its state."""
    return waits_at(at) if is_backing_off(saga) else ""


def status_now(at: State | None, saga: SagaRow | Row[Any]) -> str:
    """Return the status of a saga as people see it: `waiting` also for one that waits for a participant."""
    return Status.WAITING if waits_for(at, saga) else saga.status


def status_words(at: State | None, saga: SagaRow | Row[Any]) -> str:
    """Return the status of a saga in words, such as `waiting for the bank`, or `running`."""
    whom = waits_for(at, saga)
    back = "compensating, " if saga.status == Status.COMPENSATING else ""
    return f"{back}waiting for {participant_title(whom)}" if whom else saga.status


def state_of_saga(registry: Registry, saga: SagaRow | Row[Any]) -> State | None:
    """Return the state of a saga; None when this release does not have its table."""
    return state_of(registry, (saga.definition, saga.definition_version, saga.state))


def wait_of(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow] = (), family: Family = ALONE,
    paused: Collection[str] = (),
) -> Wait | None:  # fmt: skip
    """Return what the saga waits for; None: a process runs it, or it has ended, is stuck or has not started.

    journal: as `shown` returns it; its last row has the reason of a back-off. Without rows the reason is left out.
    family: the sagas that the steps of the saga have started. Without them a wait for branches has no counts.
    paused: the paused participants, of `Pauses.names`.
    """
    at = definition.states[saga.state]
    if polls := polls_of(definition, saga):
        asked = at.poll.participant if at.poll else ""
        held = asked if asked in paused else ""
        return Wait(subject=str(at.waits), until=polls.until, backs_off=False, polls=polls, paused=held)
    if is_backing_off(saga):
        subject = participant_of(at) or saga.state
        if subject in paused:
            return Wait(
                subject=f"{subject} (paused)", whom=participant_title(subject), why="paused", until=None,
                backs_off=True, paused=subject,
            )  # fmt: skip
        reason = (journal[-1].reason if journal else None) or ""
        # The reason is that of the last attempt: the breaker may be closed since. A pause that has ended says nothing.
        known = {open_reason(subject): "breaker was open", pause_reason(subject): ""}
        why = known.get(reason, brief(reason))
        whom, reasoned = participant_title(subject), f"{subject} ({why})" if why else subject
        return Wait(subject=reasoned, whom=whom, why=why, until=saga.due_at, backs_off=True)
    if at.awaits_child and saga.status != Status.PENDING:
        progress = _progress(at, saga, journal, family)
        words = f"{_children_words(at)}{progress}"
        return Wait(subject=f"{at.waits}{progress}", children=words, until=None, backs_off=False)
    if at.waits and saga.status == Status.WAITING:
        return Wait(subject=str(at.waits), until=saga.due_at if saga.owner is None else None, backs_off=False)
    return None


def _children_words(at: State) -> str:
    """Return the children that a state waits for as people read them."""
    if at.step is None or at.step.group is None:
        return f"saga {started_words(at.waits.saga)}" if isinstance(at.waits, ChildEnd) else ""
    return f"the branches of {named(at.step.title, at.step.name)}"


def _progress(at: State, saga: SagaRow, journal: Sequence[JournalRow], family: Family) -> str:
    """Return how many children of the saga's present step are done or undone, and stuck: `: 2 of 3 done, 1 stuck`."""
    step, total = at.step, family.stuck[0].total if family.stuck else 0
    stuck = f"{total} stuck" if total else ""
    if step is None or not family.children:
        return ""
    of_step = [child for child in family.children if child.parent_step == step.name]
    if at.undoes:
        undone = sum(child.status == Status.COMPENSATED for child in of_step)
        return ": " + ", ".join(filter(None, (f"{undone} of {len(of_step)} undone", stuck)))
    if step.group is None:
        return f": {stuck}" if stuck else ""
    done = sum(child.status == Status.COMPLETED for child in of_step)
    count = _branches(step.group, saga, journal) or len(of_step)
    return ": " + ", ".join(filter(None, (f"{done} of {count} done", stuck)))


def _branches(group: Group, saga: SagaRow, journal: Sequence[JournalRow]) -> int | None:
    """Return the number of branches of a group; None when the list that it goes through is not known."""
    if group.over is None:
        return len(group.branches)
    try:
        return len(look_up(group.over, saga.data, replies(journal)))
    except (FillError, TypeError):
        return None


def stuck_words(family: Family) -> str:
    """Return which sagas below this one wait for a person, as a sentence; "": none."""
    if not family.stuck:
        return ""
    first, total = family.stuck[0], family.stuck[0].total
    more = f", and {total - 1} more" if total > 1 else ""
    name, state = saga_words(services().registry, first), state_words(services().registry, first)
    return f"Act on the stuck saga {name} {short_id(first.id)} in {state}{more}."


def sentence(wait: Wait, left_s: float) -> str:
    """Return the wait of a saga that backs off. left_s: seconds until the next attempt; below 0 when it is due."""
    why = f" ({wait.why})" if wait.why else ""
    return f"waiting for {wait.whom}{why}{': ' if wait.paused else ', '}{_next_try(wait, left_s)}"


def _next_try(wait: Wait, left_s: float) -> str:
    if wait.paused:
        return "nothing is sent until a person resumes it"
    return f"next try {f'in {duration(left_s)}' if left_s > 0 else 'now'}"


def sentences(registry: Registry, rows: Sequence[SagaRow | Row[Any]], paused: Collection[str]) -> dict[UUID, str]:
    """Return why each saga of a list that backs off waits, and until when, by id. Its status says for whom.

    The other sagas of the list cost no query. paused: the paused participants.
    """
    ids = [row.id for row in rows if is_backing_off(row)]
    if not ids:
        return {}
    found, journals, now = queries.sagas(ids), queries.journals(ids), queries.now()
    waits: dict[UUID, str] = {}
    for saga_id, row in found.items():
        saga, journal = shown(registry, row, journals[saga_id])
        definition = table_of(registry, saga, journal)
        wait = wait_of(definition, saga, journal, paused=paused) if definition else None
        if wait is not None and wait.backs_off and (wait.until is not None or wait.paused):
            left_s = (wait.until - now).total_seconds() if wait.until else 0.0
            waits[saga_id] = ", ".join(filter(None, (wait.why, _next_try(wait, round(left_s)))))
    return waits
