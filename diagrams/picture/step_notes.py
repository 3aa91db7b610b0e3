"""The notes at the left of each band: the step, its kind, and the consequence when the step does not succeed."""

from diagrams.descriptions import KINDS, meanings
from diagrams.picture.elements import Text, line_height, wrap
from diagrams.step_bands import Band, step_bands
from machines.outcomes import Outcome
from machines.saga import Saga

NARROWEST = 178.0
_SIZE = 11


def notes_width(saga: Saga) -> float:
    return max(NARROWEST, *(_name(band).width + 24 for band in step_bands(saga)))


def step_notes(saga: Saga, band: Band, width: float) -> list[Text]:
    """Return the lines of the note about a step. No line is wider than `width` pixels."""
    notes = [
        KINDS[band.step.kind], skip_note(band), refusal_note(saga, band), refused_undo_note(band), no_answer_note(band),
        lost_reply_note(band),
    ]  # fmt: skip
    lines = [line for words in notes if words for line in wrap(words, width - 20, _SIZE, 8)]
    names = [_name(band), *([Text(words=band.step.name, size=9.5, look="quiet")] if band.step.title else [])]
    kind = Text(words=band.step.kind, look="kind")
    return [*names, kind, *(Text(words=words, size=_SIZE, look="quiet") for words in lines)]


def notes_height(saga: Saga, band: Band, width: float) -> float:
    return sum(line_height(line) for line in step_notes(saga, band, width))


def refusal_note(saga: Saga, band: Band) -> str:
    """Return the consequence of a refusal of this step."""
    if not band.failure:
        return ""
    to_undo = [step.name for step in saga.steps[: band.number - 1] if step.undo][::-1]
    return f"Refused: undoes {', '.join(to_undo)}" if to_undo else "Refused: nothing to undo"


def skip_note(band: Band) -> str:
    """Return the condition of this step."""
    return f"Only when {band.step.when}" if band.step.when else ""


def refused_undo_note(band: Band) -> str:
    """Return which refusals leave something behind, so that this step is undone too."""
    replies = [reply for reply, outcome in meanings(band.step.call) if outcome is Outcome.REFUSED_UNDO]
    return f"Refused with {' or '.join(replies)}: undoes {band.step.name} too" if replies else ""


def lost_reply_note(band: Band) -> str:
    """Return how the undo gets the reply that it needs when that reply is lost."""
    if not band.step.undo_needs_reply:
        return ""
    how = "asks for it" if band.step.probe else "sends the call again with the same key"
    return f"Undo needs the reply: if it is lost, {how} first"


def no_answer_note(band: Band) -> str:
    """Return the consequence when no attempt of the step gets an answer, so that the step is in doubt."""
    if band.step.call is None:
        return ""
    asks = "asks what became of it, then " if band.step.probe else ""
    if band.pivot or not band.failure:
        return f"No answer: {asks}stuck, a person decides"
    return f"No answer: {asks}undoes {band.step.name} too" if band.undoing else ""


def _name(band: Band) -> Text:
    return Text(words=f"{band.number}. {band.step.title or band.step.name}", size=13, look="bold")
