"""What a saga has left behind at its participants, told from its journal: what took effect, and what is undone."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.participants.outcome import Outcome, outcome_of_move
from machines.call import Call
from machines.rows import Phase, Trigger
from machines.saga import Saga
from machines.step import Kind, Step


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
class Owed:
    """One step that changes something, and what is known of its effect.

    call: what was last asked of its participant. direction: of that call.
    by_hand: a person said so, and no participant did. refused: the participant refused.
    in_flight: the reply may come at any moment.
    """

    step: Step
    effect: Effect
    call: Call
    direction: str
    by_hand: bool = False
    refused: bool = False
    in_flight: bool = False

    @property
    def says(self) -> str:
        """Say it to somebody who has been woken up for it."""
        who, name = self.call.participant, self.step.name
        if self.by_hand:
            return f"A person saw to it by hand; {who} did not say so."
        undo = f"to undo {name} " if self.direction == "undo" else ""
        if self.refused and undo:
            return f"{who} refuses {undo.strip()}: a person must see to it."
        if self.in_flight:
            return f"{who} is being asked {undo}and has given no clear answer yet: it may have happened."
        said = {
            Effect.UNKNOWN: f"{who} was asked {undo}and gave no clear answer: it may have happened, or not.",
            Effect.TOOK_EFFECT: f"{who} did it." if self.step.undo else f"{who} did it, and it has no undo.",
            Effect.UNDONE: f"{who} has undone it.",
            Effect.NOT_DONE: f"{who} refused it: nothing happened." if self.refused else f"{who} was not asked.",
        }
        return said[self.effect]


def owed(saga: Saga, state: str, moves: Sequence[Move], *, unsure: bool) -> list[Owed]:
    """Tell every step that changes something, in the table's order. unsure: as in the saga's row."""
    return [_owed(saga, step, state, moves, unsure=unsure) for step in saga.steps if step.kind is not Kind.READ]


def _owed(saga: Saga, step: Step, state: str, moves: Sequence[Move], *, unsure: bool) -> Owed:
    done = [move for move in moves if move.step == step.name and move.direction == "do"]
    undone = [move for move in moves if move.step == step.name and move.direction == "undo"]
    at = saga.rows.states[state]
    calls = at.phase in (Phase.FORWARD, Phase.UNDOING) and at.step == step and unsure
    undoing = calls and at.undoes
    if step.undo and (undone or undoing):
        asked = Effect.UNKNOWN if undoing or _unaccounted(undone) else _was(done)
        return Owed(
            step=step,
            effect=Effect.UNDONE if _succeeded(undone) else asked,
            call=step.undo,
            direction="undo",
            by_hand=_any(undone, Trigger.RESOLVE),
            refused=_any(undone, Trigger.REFUSED) and not _succeeded(undone),
            in_flight=undoing,
        )
    return Owed(
        step=step,
        effect=Effect.UNKNOWN if calls else _was(done),
        call=step.call,
        direction="do",
        by_hand=_any(done, Trigger.RESOLVE),
        refused=_any(done, Trigger.REFUSED),
        in_flight=calls,
    )


def _was(done: Sequence[Move]) -> Effect:
    if _succeeded(done):
        return Effect.TOOK_EFFECT
    return Effect.UNKNOWN if _unaccounted(done) else Effect.NOT_DONE


def _any(moves: Sequence[Move], *triggers: Trigger) -> bool:
    return any(move.trigger in triggers for move in moves)


def _succeeded(moves: Sequence[Move]) -> bool:
    return _any(moves, Trigger.SUCCEEDED, Trigger.RESOLVE)


def _unaccounted(moves: Sequence[Move]) -> bool:
    """Tell whether an attempt is in doubt: a refusal after it proves nothing."""
    in_doubt = any(outcome_of_move(move.trigger, move.status_code) is Outcome.UNKNOWN for move in moves)
    # Before this release, a refusal was sent again where there was no way back: its rows stay as they were.
    return in_doubt or _any(moves, Trigger.RETRY, Trigger.EXHAUSTED, Trigger.QUARANTINE)
