"""What people did and found out about the effects of a saga, beside the replies to the engine in its journal."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from machines.history import NO_ATTEMPT_LEFT, Answer, Effect, Finding, Found, JournalEntry, StepEffect, sends_call
from machines.transitions import Direction, Trigger

#: What a person has found → the effect.
_FOUND: Mapping[Found, Effect] = MappingProxyType({
    Found.HAPPENED: Effect.TOOK_EFFECT,
    Found.NOT_HAPPENED: Effect.NOT_DONE,
    Found.PUT_RIGHT: Effect.UNDONE,
})  # fmt: skip


def is_open(effect: StepEffect) -> bool:
    """Return True when the answer of a participant says more about an effect than the journal does."""
    if effect.step.probe is None or effect.direction is Direction.UNDO or effect.in_flight:
        return False
    return effect.by_hand or effect.refused or effect.effect is Effect.UNKNOWN


def with_answers(
    effects: Sequence[StepEffect],
    answers: Sequence[Answer],
    moves: Sequence[JournalEntry],
    finding: Finding | None = None,
) -> list[StepEffect]:
    """Return the effects with the newest answer about each step, and with who resolved it.

    answers: to people, the oldest first.
    finding: what a person has recorded, which counts for the effects that the journal does not decide.

    A step that has happened took effect. A step that the participant did not have may still come, and no answer counts
    that is older than the last attempt of its step.
    """
    newest = {answer.step: answer for answer in sorted((*_to_engine(moves), *answers), key=lambda answer: answer.at)}
    by = {(move.step, move.direction): move.actor for move in moves if move.trigger == Trigger.RESOLVE}
    named = (
        replace(each, by=by.get((each.step.name, each.direction), "")) if each.by_hand else each for each in effects
    )
    known = [
        _with(effect, answer, moves) if is_open(effect) and (answer := newest.get(effect.step.name)) else effect
        for effect in named
    ]
    return [replace(each, finding=finding) if finding and _concerns(finding, each) else each for each in known]


def _to_engine(moves: Sequence[JournalEntry]) -> list[Answer]:
    """Return the answers to the last probes of the engine that did not find the step, and after which it stopped."""
    stopped = [move for move in moves if (move.reason or "").startswith(NO_ATTEMPT_LEFT)]
    return [Answer(step=move.step, happened=False, at=move.at) for move in stopped if move.step is not None]


def as_found(effect: StepEffect) -> StepEffect:
    """Return an effect as a person has found it: by hand, because no participant has confirmed it."""
    if effect.finding is None:
        return effect
    found = _FOUND[effect.finding.found]
    return replace(effect, effect=found, by_hand=True, by=effect.finding.by, answer=None, uncertain=False)


def _concerns(finding: Finding, effect: StepEffect) -> bool:
    undecided = effect.effect is Effect.UNKNOWN or (effect.answer is not None and not effect.by_hand)
    return undecided and effect.step.name in finding.steps


def _with(effect: StepEffect, answer: Answer, moves: Sequence[JournalEntry]) -> StepEffect:
    if answer.happened:
        return replace(effect, effect=Effect.TOOK_EFFECT, refused=False, answer=answer)
    later = any(
        move.step == answer.step and move.duration_ms is not None and move.at > answer.at and sends_call(move)
        for move in moves
    )
    return effect if later else replace(effect, answer=answer)
