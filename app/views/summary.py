"""The state of one saga in one or two sentences, for the operator: the only place that says it.

Each sentence follows from the saga's row and from its effects (machines.history), so it does not say more than the
journal. A test compares the sentences with the participants' own records (tests/property).
"""

from collections.abc import Collection, Sequence

from app.store.loading import start_of
from app.store.models import JournalRow, SagaRow
from app.views.effects import answer_words, below_words, by_hand_below, checked_words, step_words
from app.views.formatting import moment
from app.views.titles import participant_title, started_words
from app.views.waits import ALONE, Family, Wait, sentence, stuck_words, wait_of
from machines.history import Effect, StepEffect, skipped_steps
from machines.progress import person
from machines.saga import Saga
from machines.statuses import Status
from machines.transitions import Direction, Phase, State, Trigger


def summary(  # noqa: PLR0917
    definition: Saga,
    row: SagaRow,
    journal: Sequence[JournalRow],
    effects: Sequence[StepEffect],
    next_s: float = 0.0,
    family: Family = ALONE,
    paused: Collection[str] = (),
) -> str:
    """Return the state of a saga in words.

    effects: of `machines.history.effects_of`. next_s: seconds until the next attempt; below 0 when it is due.
    family: the sagas that its steps have started. paused: the paused participants.
    """
    at, wait = definition.states[row.state], wait_of(definition, row, journal, family, paused)
    if wait is not None and wait.backs_off:
        words = sentence(wait, next_s)
        return f"Compensating, {words}." if at.undoes else f"{words[0].upper()}{words[1:]}."
    match at.phase:
        case Phase.COMPLETED:
            return _completed(definition, effects, journal)
        case Phase.COMPENSATED:
            return _compensated(effects, journal)
        case Phase.STUCK:
            return _stuck(at, effects)
        case _ if row.status == Status.PENDING:
            start_at = start_of(row)
            return f"It starts at {moment(start_at)} UTC." if start_at else "Created, and not executed yet."
        case _:
            return _under_way(row, at, wait) + _so_far(wait) + _then(stuck_words(family))


def unknown_effects(effects: Sequence[StepEffect]) -> list[StepEffect]:
    """Return the effects that the journal does not decide, also those about which a person has asked the participant.

    The participant gave no clear answer to the call, or may get the call later. What is unknown only below a step is
    an effect of the saga there.
    """
    return [
        effect
        for effect in effects
        if (effect.effect is Effect.UNKNOWN and not effect.only_below) or (effect.answer and not effect.by_hand)
    ]


def _completed(definition: Saga, effects: Sequence[StepEffect], journal: Sequence[JournalRow]) -> str:
    skipped_names = skipped_steps(journal)
    skipped = [step_words(step) for step in definition.steps if step.name in skipped_names]
    below = [words for effect in effects for words in below_words(effect)]
    by_hand = " ".join(filter(None, (_resolved_by_hand(effects, journal, Direction.DO), *below)))
    if by_hand:
        return f"Completed. {by_hand}"
    if skipped:
        return f"Completed: every step succeeded, except {_listed(skipped)}, which the table skipped."
    return "Completed: every step succeeded."


def _compensated(effects: Sequence[StepEffect], journal: Sequence[JournalRow]) -> str:
    unknown = [effect for effect in effects if effect.effect is Effect.UNKNOWN and effect.finding is None]
    checked = [checked_words(effect, step_words(effect.step)) for effect in effects if effect.finding]
    left = [
        step_words(effect.step) for effect in effects if effect.effect is Effect.TOOK_EFFECT and effect.answer is None
    ]
    undone = [effect for effect in effects if effect.effect is Effect.UNDONE]
    confirmed = any(not effect.by_hand and not by_hand_below(effect) for effect in undone)
    parts = [
        f"{step_words(effect.step)} took effect and is not undone: {answer_words(effect)}."
        for effect in effects
        if effect.effect is Effect.TOOK_EFFECT and effect.answer is not None and effect.finding is None
    ]
    for effect in unknown:
        name, participant = step_words(effect.step), participant_title(effect.call.participant)
        if effect.step.starts is not None:
            below_it = " ".join(below_words(effect)) or "see the sagas that it has started."
            parts.append(f"{name} is still unknown: {below_it}")
            continue
        why = f"{participant} {'may have got the call later' if effect.not_found else 'gave no clear answer'}"
        if effect.answer is not None:
            why = f"{answer_words(effect)}, but a call may have arrived later"
        parts.append(f"{name} is still unknown: {why}. Check at {participant}.")
    if left:
        parts.append(f"{_listed(left)} took effect and {'is' if len(left) == 1 else 'are'} not undone.")
    below = (words for effect in effects if effect not in unknown for words in below_words(effect))
    by_hand = filter(None, (_resolved_by_hand(effects, journal, Direction.UNDO), *below))
    if said := [*parts, *checked, *by_hand]:
        rest = " Every other step that was done is undone." if confirmed else ""
        return f"Compensated{', but' if parts else '.'} {' '.join(said)}{rest}"
    if not undone and any(effect.step.starts and effect.refused for effect in effects):
        return "Compensated: nothing is left of what its sagas have done."
    if not undone:
        return "Compensated: nothing had been done."
    return "Compensated: every step that was done is undone."


def _stuck(at: State, effects: Sequence[StepEffect]) -> str:
    name = step_words(at.step) if at.step else at.name
    what = f"the undo of {name}" if at.undoes else name
    effect = next((effect for effect in effects if effect.step == at.step), None)
    participant = (
        participant_title(effect.call.participant) if effect is not None and effect.step.starts is None else ""
    )
    if effect is not None and effect.step.starts is not None:
        reason = _stuck_children(effect)
    elif effect is not None and not at.undoes and effect.answer is not None:
        refused = f" {participant} refused it." if effect.refused else ""
        reason = f"{refused} {answer_words(effect)}."
    elif effect is None or effect.effect not in (Effect.UNKNOWN, Effect.TOOK_EFFECT):
        reason = f" {participant} refused it: nothing happened." if effect and effect.refused else ""
    elif effect.refused:
        reason = f" {participant} refused it."
    else:
        reason = f" Check at {participant} whether it happened."
    return f"The engine has stopped at {what}; a person must decide.{reason}"


def _stuck_children(effect: StepEffect) -> str:
    """Return why a step that starts other sagas is stuck, and what they may have done."""
    if effect.below:
        return _then(" ".join(below_words(effect)))
    if effect.effect is Effect.NOT_DONE and effect.refused:
        child = started_words(str(effect.step.starts))
        return f" The saga {child} that it has started is compensated: nothing happened."
    if effect.refused and effect.step.group is not None:
        return " A branch went back. Other branches may have done something: see their sagas."
    return f" See the sagas that {step_words(effect.step)} has started."


def _under_way(row: SagaRow, at: State, wait: Wait | None) -> str:
    name = step_words(at.step) if at.step else at.name
    participant, undo = participant_title(at.participant or ""), "the undo of " if at.undoes else ""
    begin = "Compensating" if at.undoes else "Running"
    if at.waits:
        subject = wait.children if wait and at.awaits_child else at.waits
        return f"{'Compensating, waiting' if at.undoes else 'Waiting'} at {undo}{name}: {subject}."
    if row.owner is None:
        return f"{begin}: {undo}{name} comes next, as soon as a process takes the saga."
    return f"{begin}: {participant} is called {f'to undo {name}' if at.undoes else f'for {name}'}."


def _so_far(wait: Wait | None) -> str:
    """Return the polls of a saga that asks for an answer, as a sentence; "" for another saga."""
    if wait is None or wait.polls is None:
        return ""
    held = (
        f" {participant_title(wait.paused)} is paused, so no poll is sent until a person resumes it."
        if wait.paused
        else ""
    )
    return f" It waits until {moment(wait.polls.until)} UTC; {wait.polls.words}.{held}"


def _resolved_by_hand(effects: Sequence[StepEffect], journal: Sequence[JournalRow], direction: Direction) -> str:
    """Return who resolved which calls by hand, as sentences; "" when nobody did."""
    answers = {effect.step.name: answer_words(effect) for effect in effects if effect.direction == direction}
    names = {effect.step.name: step_words(effect.step) for effect in effects}
    rows = [row for row in journal if row.trigger == Trigger.RESOLVE and row.direction == direction]
    undo = "the undo of " if direction is Direction.UNDO else ""
    return " ".join(
        f"{person(row.actor or '') or 'A person'} resolved {undo}{names.get(row.step or '', row.step)} by"
        f" hand; {answers.get(row.step or '') or 'no participant confirmed it'}."
        for row in rows
    )


def _then(words: str) -> str:
    return f" {words}" if words else ""


def _listed(names: Sequence[str]) -> str:
    """Return the names as a text: a, b and c."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
