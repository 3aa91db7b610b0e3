"""What people read in place of names: titles of sagas, steps and states, and the money that a step has moved.

A table that gives no titles has none: the name is then all that people read. What is derived here costs nothing until a
person looks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from machines.amounts import Amount, amount_text
from machines.answers import as_found
from machines.history import Effect, StepEffect
from machines.progress import person
from machines.saga import Saga
from machines.transitions import Direction, Phase, State

#: Word of the table → the move of the money, with the preposition before the customer, and the word for the undo.
_WORDS = {"taken": ("taken", "from", "given back"), "paid": ("paid", "to", "taken back")}
#: What a total of money says: what was taken and paid, what of it went back, and what nobody knows.
UNKNOWN_SUM = "unknown"
SUMS = ("taken", "given back", "paid", "taken back", UNKNOWN_SUM)
#: Phases of a saga that keeps what its steps have taken.
GOES_ON = (Phase.FORWARD, Phase.WAITING, Phase.COMPLETED)


@dataclass(frozen=True, kw_only=True)
class Money:
    """What a step has done with money."""

    #: The number, such as "109.88", and the code of its currency; "": the table names none.
    number: str
    currency: str
    #: What has happened to it, such as "taken from customer 4, not given back".
    fate: str
    #: False: the money has not moved.
    moved: bool
    #: The totals in which the amount counts, of SUMS; none: it has not moved, or what may have moved is undone.
    sums: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The amount, such as "109.88 EUR"."""
        return f"{self.number} {self.currency}".strip()

    def __str__(self) -> str:
        return f"{self.text} {self.fate}"


def state_title(saga: Saga, name: str) -> str:
    """Return the title of a state; "" when the table has no words for it.

    A state that is derived from a step, such as STUCK_PAY, takes its title from that of the step.
    """
    if title := saga.titles.get(name):
        return title
    state = saga.states.get(name)
    if state is None or state.step is None or not state.step.title:
        return ""
    return _derived_title(state, state.step.title)


def _derived_title(state: State, title: str) -> str:
    match state.phase:
        case Phase.STUCK:
            return f"stuck in the undo of: {title}" if state.undoes else f"stuck: {title}"
        case Phase.UNDOING:
            return f"undoes: {title}"
        case Phase.WAITING:
            return f"waits: {title}"
        case _:
            return ""


def money_moved(
    effect: StepEffect,
    client: str | None,
    *,
    phase: Phase,
    data: Mapping[str, Any],
    results: Mapping[str, Any],
    participant: Callable[[str], str] = str,
) -> Money | None:
    """Return what a step has done with money, as text "109.88 EUR taken from customer 4, not given back".

    None: its table names no amount, or the amount is not known. client: the customer; None: not known. phase: of the
    saga's state. results: step → its reply. participant: returns a participant as people read it.
    """
    amount = effect.step.amount
    if amount is None or (number := amount_text(amount, data, results)) is None:
        return None
    effect = as_found(effect)
    says = "" if effect.effect is Effect.UNDONE else _says(effect)
    fate = f"{_moved(amount, effect, client)}{says}{_back(amount, effect, phase)}{_denied(effect, participant)}"
    moved = effect.effect not in (Effect.NOT_DONE, Effect.SKIPPED)
    return Money(number=number, currency=amount.currency, fate=fate, moved=moved, sums=_sums(amount, effect))


def _sums(amount: Amount, effect: StepEffect) -> tuple[str, ...]:
    verb, _, back = _WORDS[amount.name]
    match effect.effect:
        case Effect.NOT_DONE | Effect.SKIPPED:
            return ()
        case Effect.UNDONE:
            return () if effect.uncertain else (verb, back)
        case Effect.UNKNOWN if effect.direction is Direction.UNDO and not effect.uncertain:
            return (verb, UNKNOWN_SUM)
        case Effect.TOOK_EFFECT if not effect.uncertain:
            return (verb,)
        case _:
            return (UNKNOWN_SUM,)


def _moved(amount: Amount, effect: StepEffect, client: str | None) -> str:
    verb, preposition, _ = _WORDS[amount.name]
    moved = f"{verb} {preposition} customer {client}" if client else verb
    match effect.effect:
        case Effect.NOT_DONE | Effect.SKIPPED:
            return f"not {moved}"
        case Effect.UNKNOWN if effect.direction is Direction.DO:
            return f"may have been {moved}"
        case _ if effect.uncertain:
            return f"may have been {moved}"
        case _:
            return moved


def _back(amount: Amount, effect: StepEffect, phase: Phase) -> str:
    """Return the end of the sentence: whether the money went back."""
    *_, back = _WORDS[amount.name]
    by_hand = f" by hand{_says(effect)}" if effect.by_hand else ""
    if effect.uncertain:
        undone = f"; undone{by_hand}" if by_hand else "; its undo succeeded"
        return undone if effect.effect is Effect.UNDONE else "; its undo is not confirmed"
    if effect.effect is Effect.UNDONE:
        return f", and {back}{by_hand}"
    if effect.effect is Effect.UNKNOWN and effect.direction == Direction.UNDO:
        return f", and may have been {back}"
    if effect.effect is Effect.TOOK_EFFECT and phase not in GOES_ON:
        return f", not {back}"
    return ""


def _says(effect: StepEffect) -> str:
    """Return who resolved the call by hand; "": nobody did, or its participant has confirmed it."""
    if not effect.by_hand or (effect.answer and effect.answer.happened):
        return ""
    return f", says {person(effect.by) or 'a person'}"


def _denied(effect: StepEffect, participant: Callable[[str], str]) -> str:
    """Return what the participant answered that speaks against a step which a person resolved by hand."""
    if not effect.by_hand or effect.answer is None or effect.answer.happened or effect.step.probe is None:
        return ""
    return f"; {participant(effect.step.probe.participant)} answered that it had not happened"
