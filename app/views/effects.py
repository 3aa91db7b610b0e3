"""The effects that a saga has left at its participants, in words; app.views.known_effects reads them."""

from collections.abc import Mapping
from types import MappingProxyType

from app.views.formatting import moment
from app.views.titles import participant_title, started_words
from diagrams.descriptions import named
from machines.answers import as_found
from machines.history import Below, Effect, Found, StepEffect
from machines.progress import person
from machines.step import Step
from machines.transitions import Direction

#: What a person can record about an unknown effect → the words for it.
FOUND: Mapping[str, str] = MappingProxyType({
    Found.HAPPENED: "it happened, and it may stay",
    Found.NOT_HAPPENED: "it did not happen",
    Found.PUT_RIGHT: "it happened, and it is undone by hand",
})  # fmt: skip
_BRIEFLY: Mapping[Found, str] = MappingProxyType({
    Found.HAPPENED: "happened", Found.NOT_HAPPENED: "did not happen", Found.PUT_RIGHT: "undone by hand",
})  # fmt: skip


def step_words(step: Step) -> str:
    """Return a step as people read it: its title with the identifier in brackets."""
    return named(step.title, step.name)


def answer_words(effect: StepEffect) -> str:
    """Return what the participant answered to a person, as a clause: `bank answered at … UTC that …`; "": nothing."""
    if effect.answer is None or effect.step.probe is None:
        return ""
    asked, at = participant_title(effect.step.probe.participant), f"{moment(effect.answer.at)} UTC"
    return f"{asked} answered at {at} that it {'has' if effect.answer.happened else 'had not'} happened"


def effect_words(effect: StepEffect) -> str:
    """Return the effect of a step in two or three words, with what nobody but a person has confirmed."""
    if effect.in_flight:
        return "under way"
    if effect.finding is not None:
        return f"{_BRIEFLY[effect.finding.found]}, says {person(effect.finding.by)}"
    if effect.only_below and effect.effect is Effect.TOOK_EFFECT:
        return f"{effect.effect} in part"
    return ", ".join(filter(None, (str(effect.effect), by_whom(effect))))


def by_whom(effect: StepEffect) -> str:
    """Return `by hand`, or `partly by hand`, when nobody but a person has confirmed an effect; "": somebody has."""
    if effect.by_hand and not (effect.answer is not None and effect.answer.happened):
        return "by hand"
    return "partly by hand" if by_hand_below(effect) else ""


def description(effect: StepEffect) -> str:
    """Return the effect of a step in one sentence, for the operator."""
    words = _of_call(effect) if effect.step.starts is None else " ".join((_of_children(effect), *below_words(effect)))
    return f"{words} {checked_words(effect, 'it')}" if effect.finding else words


def checked_words(effect: StepEffect, name: str) -> str:
    """Return what a person has found out about an effect, as a sentence; "": nothing. name: of the effect."""
    found = effect.finding
    if found is None:
        return ""
    return f"{person(found.by)} checked {name} at {moment(found.at)} UTC: {FOUND[found.found]}."


def below_words(effect: StepEffect) -> list[str]:
    """Return a sentence for each effect of the sagas below a step that a person must know."""
    return [_of_below(each) for each in effect.below]


def by_hand_below(effect: StepEffect) -> list[str]:
    """Return the sentences about what people resolved by hand, or checked, in the sagas below a step."""
    return [_of_below(each) for each in effect.below if as_found(each.effect).by_hand]


def _of_below(below: Below) -> str:
    effect, name = below.effect, f"{step_words(below.effect.step)} of {below.saga}"
    if effect.finding is not None:
        return checked_words(effect, name)
    if effect.by_hand:
        undo = "the undo of " if effect.direction is Direction.UNDO else ""
        return f"{_who(effect)} resolved {undo}{name} by hand; {answer_words(effect) or 'no participant confirmed it'}."
    return f"{name} is still unknown." if effect.effect is Effect.UNKNOWN else f"{name} took effect and is not undone."


def _who(effect: StepEffect) -> str:
    """Return who resolved a call by hand."""
    return person(effect.by) or "A person"


def _of_call(effect: StepEffect) -> str:
    """Return the effect of a step that calls a participant."""
    participant, name = participant_title(effect.call.participant), step_words(effect.step)
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
    child = f"the branches of {name}" if group else f"the saga {started_words(str(effect.step.starts))}"
    start, are = f"{child[0].upper()}{child[1:]}", "are" if group else "is"
    if effect.by_hand:
        return f"{_who(effect)} resolved it by hand; {child} did not confirm it."
    if effect.effect is Effect.SKIPPED:
        return f"Skipped because {effect.because}: {child} {'were' if group else 'was'} not started."
    if effect.in_flight:
        doing = "being undone" if effect.direction == Direction.UNDO else "under way"
        return f"{start} {are} {doing}: see the sagas that {name} has started."
    if effect.only_below and effect.effect is Effect.TOOK_EFFECT:
        return f"{start} went back, and not all of it is undone."
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
