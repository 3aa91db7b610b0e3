"""The properties of every saga under every fault. The transitions of the table decide which moves are legal."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import Row

from app.store.loading import is_in_doubt
from app.views.effects import description
from app.views.summary import summary, unknown_effects
from machines.answers import with_answers
from machines.history import Answer, StepEffect, effects_of
from machines.saga import Saga
from machines.step import EFFECTFUL, Kind
from machines.transitions import Phase, Trigger
from tests.property.participant import Effect
from tests.property.tables import NAMES, StepLine, is_skipped


def journal_follows_the_table(table: Saga, saga: Row[Any], journal: Sequence[Row[Any]]) -> None:
    assert [move.seq for move in journal] == list(range(1, len(journal) + 1))
    assert (journal[0].source, journal[0].dest) == (None, table.initial)
    assert all(after.source == before.dest for before, after in pairwise(journal))
    legal = {(transition.source, transition.trigger, transition.dest) for transition in table.transitions}
    made = {(move.source, move.trigger, move.dest) for move in journal[1:]}
    assert made <= legal, f"no rows of the table: {made - legal}"
    assert journal[-1].dest == saga.state


def a_definite_no_is_never_asked_again(table: Saga, journal: Sequence[Row[Any]]) -> None:
    """Check that no refused call is sent again.

    The exception is a 409 to a call that is repeated only to recover the lost reply of its step.
    """
    recovered = {step.name for step in table.steps if step.undo_needs_reply}
    again = [move for move in journal if move.trigger in (Trigger.RETRY, Trigger.EXHAUSTED, Trigger.DEFER)]
    refused = [move for move in again if move.status_code in (404, 409, 410)]
    wrong = [move for move in refused if not (move.direction == "undo" and move.step in recovered)]
    assert not wrong, "a refusal was taken for something else"


def every_active_saga_is_due(table: Saga, saga: Row[Any]) -> None:
    """Check that every active saga has a due time. Without one, no process would claim the saga."""
    at = table.states[saga.state]
    if saga.status != "pending":
        assert at.phase is not Phase.PASSING, f"{saga.state} is not to be saved"
        assert saga.due_at is not None or not at.runs, f"{saga.state} is never due"
        assert (saga.status == "stuck") == (at.phase is Phase.STUCK)


def once_and_in_order(table: Saga, journal: Sequence[Row[Any]], effects: Sequence[Effect]) -> None:
    """Check that no effect happens twice, and that no effect is undone before it was done.

    After a pivot took effect, no step may be undone. The exception: an operator compensated a saga that was stuck in
    its pivot.
    """
    pivots = {step.name for step in table.steps if step.kind is Kind.PIVOT}
    assert max(Counter(effects).values(), default=0) <= 1, f"an effect came twice: {effects}"
    done: set[str] = set()
    for effect in effects:
        assert effect.direction == "do" or effect.step in done, f"undone, and never done: {effect}"
        done.add(effect.step)
    undone = {effect.step for effect in effects if effect.direction == "undo"}
    if not pivot_given_up(table, journal):
        assert not (undone and pivots & done), f"a pivot took effect, and was not all there was: {effects}"


def conditions_decide(lines: Sequence[StepLine], journal: Sequence[Row[Any]], called: Collection[str]) -> set[str]:
    """Check that each step was skipped exactly if its condition does not hold. Return the skipped steps.

    called: the names of the steps that a participant was asked to do or to undo.
    """
    skipped = {move.step for move in journal if move.trigger == Trigger.SKIP and move.direction == "do"}
    entered = {move.step for move in journal if move.trigger == Trigger.BEGIN and move.step}
    ids = {
        move.step: (move.reply or {}).get("id")
        for move in journal
        if move.trigger in (Trigger.SUCCEEDED, Trigger.RESOLVE) and move.direction == "do"
    }
    for line, name in zip(lines, NAMES, strict=False):
        asked_id = ids.get(NAMES[line.asks]) if line.asks is not None else None
        decided = name in skipped | entered
        assert not decided or (name in skipped) == is_skipped(line, asked_id), f"{name} was decided wrongly"
        # A read is sent before its moves are stored.
        known = line.when is None or line.kind is Kind.READ or decided
        assert known or name not in called, f"{name} was called, and its condition was not decided"
    assert not skipped & set(called), f"skipped, and called all the same: {skipped & set(called)}"
    return skipped


def all_effects_or_none(
    table: Saga, saga: Row[Any], journal: Sequence[Row[Any]], effects: Iterable[Effect], skipped: Collection[str]
) -> None:
    """Check that either all effects of an ended saga are in force, or none. skipped: the steps that were skipped."""
    standing = {effect.step for effect in effects if effect.direction == "do"}
    standing -= {effect.step for effect in effects if effect.direction == "undo"}
    phase = table.states[saga.state].phase
    changing = [
        step
        for step in table.steps
        if step.call and not step.starts and step.kind is not Kind.READ and step.name not in skipped
    ]
    if phase is Phase.COMPLETED:
        assert standing == {step.name for step in changing}, f"completed, and in effect are {standing}"
    if phase is Phase.COMPENSATED:
        pivots = {step.name for step in changing if step.kind is Kind.PIVOT}
        # A person who compensates a pivot in doubt is responsible for the result.
        allowed = pivots if pivot_given_up(table, journal) else set()
        assert standing <= allowed, f"compensated, and in effect are {standing}"


def effects_shown(
    table: Saga, saga: Row[Any], journal: Sequence[Row[Any]], answers: Sequence[Answer]
) -> list[StepEffect]:
    """Return the effects that the page of a saga shows. answers: of participants to people, the oldest first."""
    found = effects_of(table, saga.state, journal, in_doubt=is_in_doubt(saga) and saga.status != "pending")
    return with_answers(found, answers, journal)


def the_summary_is_true(  # noqa: PLR0917  all that is known of one saga
    table: Saga, saga: Row[Any], journal: Sequence[Row[Any]], effects: Sequence[Effect], skipped: Collection[str],
    found: Sequence[StepEffect],
) -> None:  # fmt: skip
    """Compare the sentence on the operator's page with the participants' own records.

    skipped: the skipped steps. found: of `effects_shown`.
    """
    text = summary(table, saga, journal, found)
    done = {effect.step for effect in effects if effect.direction == "do"}
    standing = done - {effect.step for effect in effects if effect.direction == "undo"}
    if "every step succeeded." in text:
        assert standing == {step.name for step in table.steps if step.kind in EFFECTFUL}, text
        assert all(move.trigger != Trigger.RESOLVE for move in journal), text
    if "except" in text:
        assert all(name in text for name in skipped), text
    if "nothing had been done" in text or "nothing happened" in text:
        refused = {table.states[saga.state].step.name} if "nothing happened" in text else done
        assert not refused & done, f"{text} In fact: {effects}"
    if saga.status == "compensated":
        by_hand = {move.step for move in journal if move.trigger == Trigger.RESOLVE}
        known = {name for name in done if f"{name} took effect and is not undone" in text}
        unsaid = {name for name in standing - by_hand - known if f"{name} is still unknown" not in text}
        assert not unsaid, f"{text} In effect is {unsaid}"
        assert known <= standing, f"{text} In fact: {effects}"


def the_effects_are_true(
    saga: Row[Any], effects: Sequence[Effect], found: Sequence[StepEffect], still_unknown: bool
) -> None:
    """Compare what the operator's page says of each step with the participants' own records.

    found: of `effects_shown`. still_unknown: True when the saga is on the list of ended sagas with an unknown effect.
    """
    done = {effect.step for effect in effects if effect.direction == "do"}
    standing = done - {effect.step for effect in effects if effect.direction == "undo"}
    for each in found:
        if each.step.starts or each.by_hand:  # a person's word, which nobody can compare
            continue
        name, words = each.step.name, description(each)
        if "nothing happened" in words or "was not called" in words:
            assert name not in done, f"{name}: {words} In fact: {effects}"
        if words.endswith(("did it.", "it has no undo.", "has happened.")):
            assert name in standing, f"{name}: {words} In fact: {effects}"
        if words.endswith(("has undone it.", "nothing is left.")):
            assert name not in standing, f"{name}: {words} In fact: {effects}"
    unknown = saga.status == "compensated" and bool(unknown_effects(found))
    assert unknown == still_unknown, f"on the list: {still_unknown}, but {found}"


def pivot_given_up(table: Saga, journal: Sequence[Row[Any]]) -> bool:
    """Return True when an operator compensated a saga that was stuck in its pivot."""
    moves = [(table.states[move.source], table.states[move.dest]) for move in journal[1:]]
    return any(
        before.phase is Phase.STUCK
        and before.step.kind is Kind.PIVOT
        and after.phase in (Phase.UNDOING, Phase.COMPENSATED)
        for before, after in moves
    )
