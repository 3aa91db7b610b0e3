"""The effects that a saga has left at its participants, read from its journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.participants.outcome import outcome_of_move
from machines.call import Call
from machines.progress import Outcome
from machines.saga import Saga
from machines.step import Kind, Step
from machines.transitions import Phase, Trigger


class Effect(StrEnum):
    NOT_DONE = "not done"
    TOOK_EFFECT = "took effect"
    UNDONE = "undone"
    UNKNOWN = "unknown"


class Move(Protocol):
    """A row of the journal."""

    @property
    def trigger(self) -> str: ...
    @property
    def step(self) -> str | None: ...
    @property
    def direction(self) -> str | None: ...
    @property
    def status_code(self) -> int | None: ...


@dataclass(frozen=True, kw_only=True)
class StepEffect:
    """One step that changes something, and its effect as far as the journal shows it."""

    step: Step
    effect: Effect
    #: The call that was sent last: the action or the compensation.
    call: Call
    #: Direction of that call.
    direction: str
    #: A person resolved the call; the participant has not confirmed it.
    by_hand: bool = False
    #: The participant refused the call.
    refused: bool = False
    #: The call is in flight: its reply may come at any moment.
    in_flight: bool = False

    @property
    def description(self) -> str:
        """The effect in one sentence, for the operator."""
        participant, name = self.call.participant, self.step.name
        if self.by_hand:
            return f"A person resolved it by hand; {participant} did not confirm it."
        undo = f"to undo {name} " if self.direction == "undo" else ""
        if self.refused and undo:
            return f"{participant} refuses {undo.strip()}: a person must see to it."
        if self.in_flight:
            return f"{participant} is being called {undo}and has given no clear answer yet: it may have happened."
        descriptions = {
            Effect.UNKNOWN: f"{participant} was called {undo}and gave no clear answer: it may have happened, or not.",
            Effect.TOOK_EFFECT: f"{participant} did it."
            if self.step.undo
            else f"{participant} did it, and it has no undo.",
            Effect.UNDONE: f"{participant} has undone it.",
            Effect.NOT_DONE: f"{participant} refused it: nothing happened."
            if self.refused
            else f"{participant} was not called.",
        }
        return descriptions[self.effect]


def effects_of(saga: Saga, state: str, moves: Sequence[Move], *, in_doubt: bool) -> list[StepEffect]:
    """Return the effect of every step that changes something, in the table's order.

    in_doubt: the call of the present state may have been sent.
    """
    return [_effect(saga, step, state, moves, in_doubt=in_doubt) for step in saga.steps if step.kind is not Kind.READ]


def _effect(saga: Saga, step: Step, state: str, moves: Sequence[Move], *, in_doubt: bool) -> StepEffect:
    done = [move for move in moves if move.step == step.name and move.direction == "do"]
    undone = [move for move in moves if move.step == step.name and move.direction == "undo"]
    at = saga.states[state]
    in_flight = at.phase in (Phase.FORWARD, Phase.UNDOING) and at.step == step and in_doubt
    undoing = in_flight and at.undoes
    if step.undo and (undone or undoing):
        before = Effect.UNKNOWN if undoing or _any_in_doubt(undone) else _effect_of_action(done)
        return StepEffect(
            step=step,
            effect=Effect.UNDONE if _succeeded(undone) else before,
            call=step.undo,
            direction="undo",
            by_hand=_any(undone, Trigger.RESOLVE),
            refused=_any(undone, Trigger.REFUSED) and not _succeeded(undone),
            in_flight=undoing,
        )
    return StepEffect(
        step=step,
        effect=Effect.UNKNOWN if in_flight else _effect_of_action(done),
        call=step.call,
        direction="do",
        by_hand=_any(done, Trigger.RESOLVE),
        refused=_any(done, Trigger.REFUSED),
        in_flight=in_flight,
    )


def _effect_of_action(done: Sequence[Move]) -> Effect:
    if _succeeded(done):
        return Effect.TOOK_EFFECT
    return Effect.UNKNOWN if _any_in_doubt(done) else Effect.NOT_DONE


def _any(moves: Sequence[Move], *triggers: Trigger) -> bool:
    return any(move.trigger in triggers for move in moves)


def _succeeded(moves: Sequence[Move]) -> bool:
    return _any(moves, Trigger.SUCCEEDED, Trigger.RESOLVE)


def _any_in_doubt(moves: Sequence[Move]) -> bool:
    """Return True when an attempt is in doubt. A refusal after such an attempt proves nothing."""
    in_doubt = any(outcome_of_move(move.trigger, move.status_code) is Outcome.UNKNOWN for move in moves)
    # Older releases sent a refused call again where there was no way back; their journal rows remain.
    return in_doubt or _any(moves, Trigger.RETRY, Trigger.EXHAUSTED, Trigger.QUARANTINE)
