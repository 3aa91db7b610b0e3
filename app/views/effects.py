"""The effects that a saga has left at its participants, in words for the operator."""

from collections.abc import Sequence
from uuid import UUID

from app.store.answers import answers_of
from app.store.loading import is_in_doubt
from app.store.models import JournalRow, SagaRow
from app.views.formatting import moment
from diagrams.descriptions import named
from machines.answers import is_open, with_answers
from machines.history import Effect, StepEffect, effects_of
from machines.progress import person
from machines.renaming import as_named_now
from machines.saga import Saga
from machines.statuses import Status
from machines.step import Step
from machines.transitions import Direction


def effects_now(definition: Saga | None, row: SagaRow, journal: Sequence[JournalRow]) -> list[StepEffect]:
    """Return every step of a saga that changes something, with its effect and with the answers of participants.

    Return nothing for a saga without a table.
    """
    return effects_of_all([(definition, row, journal)])[row.id] if definition else []


def effects_of_all(sagas: Sequence[tuple[Saga, SagaRow, Sequence[JournalRow]]]) -> dict[UUID, list[StepEffect]]:
    """Return the effects of each of these sagas, see `effects_now`.

    The answers are read in one query, and only for sagas whose journal does not decide.
    """
    found: dict[UUID, tuple[Sequence[JournalRow], list[StepEffect]]] = {}
    for definition, row, moves in sagas:
        journal, in_doubt = as_named_now(moves), is_in_doubt(row) and row.status != Status.PENDING
        found[row.id] = journal, effects_of(definition, row.state, journal, in_doubt=in_doubt)
    answers = answers_of([saga_id for saga_id, (_, effects) in found.items() if any(map(is_open, effects))])
    return {
        saga_id: with_answers(effects, answers.get(saga_id, ()), journal)
        for saga_id, (journal, effects) in found.items()
    }


def step_words(step: Step) -> str:
    """Return a step as people read it: its title with the identifier in brackets."""
    return named(step.title, step.name)


def answer_words(effect: StepEffect) -> str:
    """Return what the participant answered to a person, as a clause: `bank answered at … UTC that …`; "": nothing."""
    if effect.answer is None or effect.step.probe is None:
        return ""
    asked, at = effect.step.probe.participant, f"{moment(effect.answer.at)} UTC"
    return f"{asked} answered at {at} that it {'has' if effect.answer.happened else 'had not'} happened"


def effect_words(effect: StepEffect) -> str:
    """Return the effect of a step in two or three words, with what nobody but a person has confirmed."""
    if effect.in_flight:
        return "under way"
    confirmed = effect.answer is not None and effect.answer.happened
    return f"{effect.effect}, by hand" if effect.by_hand and not confirmed else str(effect.effect)


def description(effect: StepEffect) -> str:
    """Return the effect of a step in one sentence, for the operator."""
    return _of_call(effect) if effect.step.starts is None else _of_children(effect)


def _who(effect: StepEffect) -> str:
    """Return who resolved a call by hand."""
    return person(effect.by) or "A person"


def _of_call(effect: StepEffect) -> str:
    """Return the effect of a step that calls a participant."""
    participant, name = effect.call.participant, step_words(effect.step)
    answer = answer_words(effect)
    if effect.by_hand:
        return f"{_who(effect)} resolved it by hand; {answer or f'{participant} did not confirm it'}."
    if effect.effect is Effect.SKIPPED:
        return f"Skipped because {effect.because}: {participant} was not called."
    undo = f"to undo {name} " if effect.direction == Direction.UNDO else ""
    if effect.refused and undo:
        return f"{participant} refuses {undo.strip()}: a person must decide."
    if effect.in_flight:
        return f"{participant} is being called {undo}and has given no clear answer yet: it may have happened."
    if effect.not_found:
        return f"{participant} did not have it when the saga went back. The call may have arrived later."
    may_come = "; a call may have arrived later" if effect.effect is Effect.UNKNOWN else ""
    then = f" {answer}{may_come}." if answer else ""
    descriptions = {
        Effect.UNKNOWN: f"{participant} was called {undo}and gave no clear answer: it may have happened, or not.{then}",
        Effect.TOOK_EFFECT: f"{answer or f'{participant} did it'}{'' if effect.step.undo else ', and it has no undo'}.",
        Effect.UNDONE: f"{participant} has undone it{', in case it had happened: nothing is left' * effect.uncertain}.",
        Effect.NOT_DONE: f"{participant} refused it: nothing happened.{then}"
        if effect.refused
        else f"{participant} was not called.",
    }
    return descriptions[effect.effect]


def _of_children(effect: StepEffect) -> str:
    """Return the effect of a step that starts other sagas. It calls no participant itself."""
    name, group = step_words(effect.step), effect.step.group is not None
    child = f"the branches of {name}" if group else f"the saga {effect.step.starts}"
    start, are = f"{child[0].upper()}{child[1:]}", "are" if group else "is"
    if effect.by_hand:
        return f"{_who(effect)} resolved it by hand; {child} did not confirm it."
    if effect.effect is Effect.SKIPPED:
        return f"Skipped because {effect.because}: {child} {'were' if group else 'was'} not started."
    if effect.in_flight:
        doing = "being undone" if effect.direction == Direction.UNDO else "under way"
        return f"{start} {are} {doing}: see the sagas that {name} has started."
    if effect.effect is Effect.UNKNOWN and effect.refused and group:
        return f"A branch of {name} went back. Other branches may have done something: see their sagas."
    descriptions = {
        Effect.UNKNOWN: f"{start} may have done something, or not: see the sagas that {name} has started.",
        Effect.TOOK_EFFECT: f"{start} {are} done{'' if effect.step.undo else f', and {name} has no undo'}.",
        Effect.UNDONE: f"{start} {are} undone.",
        Effect.NOT_DONE: f"{start} {are} undone: nothing is left of it."
        if effect.refused
        else f"{start} {'have' if group else 'has'} not run.",
    }
    return descriptions[effect.effect]
