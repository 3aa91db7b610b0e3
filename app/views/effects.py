"""The effects that a saga has left at its participants, in words for the operator."""

from machines.history import Effect, StepEffect
from machines.transitions import Direction


def description(effect: StepEffect) -> str:
    """Return the effect of a step in one sentence, for the operator."""
    participant, name = effect.call.participant, effect.step.name
    if effect.by_hand:
        return f"A person resolved it by hand; {participant} did not confirm it."
    if effect.effect is Effect.SKIPPED:
        return f"Skipped because {effect.because}: {participant} was not called."
    undo = f"to undo {name} " if effect.direction == Direction.UNDO else ""
    if effect.refused and undo:
        return f"{participant} refuses {undo.strip()}: a person must decide."
    if effect.in_flight:
        return f"{participant} is being called {undo}and has given no clear answer yet: it may have happened."
    if effect.not_found:
        return f"{participant} did not have it when the saga went back. The call may have arrived later."
    descriptions = {
        Effect.UNKNOWN: f"A branch of {name} went back. Other branches may have done something: see their sagas."
        if effect.refused and effect.step.group is not None
        else f"{participant} was called {undo}and gave no clear answer: it may have happened, or not.",
        Effect.TOOK_EFFECT: f"{participant} did it."
        if effect.step.undo
        else f"{participant} did it, and it has no undo.",
        Effect.UNDONE: f"{participant} has undone it.",
        Effect.NOT_DONE: f"{participant} refused it: nothing happened."
        if effect.refused
        else f"{participant} was not called.",
    }
    return descriptions[effect.effect]
