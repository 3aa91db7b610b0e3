"""The effects of sagas, with all that the database knows: journals, answers to people, and the sagas below each one.

The journal of a saga has only the ends of the sagas that its steps have started, and not what these have left.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from app.services import services
from app.store import queries
from app.store.answers import FoundOut, found_out
from app.store.loading import is_in_doubt, table_of
from app.store.models import JournalRow, SagaRow
from app.store.saga_ids import short_id
from app.views.titles import saga_words
from machines.answers import as_found, is_open, with_answers
from machines.history import Below, Effect, StepEffect, effects_of
from machines.renaming import as_named_now
from machines.saga import Saga
from machines.statuses import Status

#: Most sagas below one saga whose effects are read, the oldest first; more are a matter for the list of sagas.
_MOST = 20


def effects_now(definition: Saga | None, row: SagaRow, journal: Sequence[JournalRow]) -> list[StepEffect]:
    """Return every step of a saga that changes something, with its effect, and with what people did and found out.

    Return nothing for a saga without a table.
    """
    return (
        _with_sagas_below(definition, row, effects_of_all([(definition, row, journal)])[row.id]) if definition else []
    )


def effects_of_all(sagas: Sequence[tuple[Saga, SagaRow, Sequence[JournalRow]]]) -> dict[UUID, list[StepEffect]]:
    """Return the effects of each of these sagas, see `effects_now`, without those of the sagas below them.

    What people found out is read in one query, and only for sagas whose journal does not decide.
    """
    found: dict[UUID, tuple[Sequence[JournalRow], list[StepEffect]]] = {}
    for definition, row, moves in sagas:
        journal, in_doubt = as_named_now(moves), is_in_doubt(row) and row.status != Status.PENDING
        found[row.id] = journal, effects_of(definition, row.state, journal, in_doubt=in_doubt)
    known = found_out([saga_id for saga_id, (_, effects) in found.items() if any(map(_is_undecided, effects))])
    return {
        saga_id: with_answers(effects, people.answers, journal, people.finding)
        for saga_id, (journal, effects) in found.items()
        for people in [known.get(saga_id, FoundOut())]
    }


def _is_undecided(effect: StepEffect) -> bool:
    """Return True when people may know more about an effect than the journal does."""
    return is_open(effect) or (effect.effect is Effect.UNKNOWN and not effect.in_flight)


def _with_sagas_below(definition: Saga, row: SagaRow, effects: Sequence[StepEffect]) -> list[StepEffect]:
    """Return the effects of a saga with those of the sagas below it that are unknown, by hand or not undone.

    A saga that has started no other saga costs no query.
    """
    started = [each for each in effects if each.step.starts and _has_started(each)]
    if not definition.starts_others or not started:
        return list(effects)
    found = _below(row.id)
    return [_with(each, found.get(each.step.name, ())) if each in started else each for each in effects]


def _has_started(effect: StepEffect) -> bool:
    none = effect.effect is Effect.SKIPPED or (effect.effect is Effect.NOT_DONE and not effect.refused)
    return not effect.in_flight and not none


def _with(effect: StepEffect, below: Sequence[Below]) -> StepEffect:
    if not below:
        return effect
    is_unknown = any(each.effect.effect is Effect.UNKNOWN and each.effect.finding is None for each in below)
    if is_unknown and effect.effect is not Effect.UNKNOWN:
        return replace(effect, effect=Effect.UNKNOWN, below=below, only_below=True)
    if any(each.stays for each in below) and effect.effect in (Effect.NOT_DONE, Effect.UNDONE):
        return replace(effect, effect=Effect.TOOK_EFFECT, below=below, only_below=True)
    if any(as_found(each.effect).effect is Effect.UNDONE for each in below) and effect.effect is Effect.NOT_DONE:
        return replace(effect, effect=Effect.UNDONE, below=below)
    return replace(effect, below=below)


def _below(saga_id: UUID) -> dict[str, list[Below]]:
    """Return the name of each step of a saga → the effects below it that a person must know."""
    ids = queries.touched_below(saga_id, _MOST)
    rows, journals = queries.sagas(ids), queries.journals(ids, replies_of=())
    tables = {each: table_of(services().registry, rows[each], journals[each]) for each in ids}
    known = effects_of_all([(table, rows[each], journals[each]) for each, table in tables.items() if table])
    found: dict[str, list[Below]] = {}
    for each, effects in known.items():
        child = rows[each]
        lines = (_of_child(child, effect) for effect in effects)
        found.setdefault(_step_above(saga_id, child), []).extend(line for line in lines if line)
    return found


def _of_child(child: SagaRow, effect: StepEffect) -> Below | None:
    """Return an effect of a child as its parent shows it; None: the child's end says all of it."""
    stays = child.status == Status.COMPENSATED and as_found(effect).effect is Effect.TOOK_EFFECT
    is_unknown = effect.effect is Effect.UNKNOWN and not effect.in_flight and not effect.step.starts
    if not (effect.by_hand or stays or is_unknown):
        return None
    return Below(saga=f"{saga_words(services().registry, child)} {short_id(child.id)}", effect=effect, stays=stays)


def _step_above(saga_id: UUID, child: SagaRow) -> str:
    """Return the step of a saga whose children, or the sagas below them, include this one."""
    while child.parent_id is not None and child.parent_id != saga_id:
        child = queries.get(child.parent_id)
    return child.parent_step or ""
