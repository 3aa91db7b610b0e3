"""What stands beside each band in words: the step, and what comes of it when it does not succeed."""

from diagrams.descriptions import KINDS
from diagrams.picture.elements import Text, leading, wrapped
from diagrams.step_bands import Band, bands
from machines.saga import Saga

NARROWEST = 178.0
_SIZE = 11


def strip_width(saga: Saga) -> float:
    return max(NARROWEST, *(_name(band).width + 24 for band in bands(saga)))


def strip(saga: Saga, band: Band, width: float) -> list[Text]:
    """Give the lines about a step, the one below the other; none is wider than the strip."""
    said = [KINDS[band.step.kind], if_refused(saga, band), if_unknown(band)]
    lines = [line for words in said if words for line in wrapped(words, width - 20, _SIZE, 8)]
    kind = Text(words=band.step.kind, look="kind")
    return [_name(band), kind, *(Text(words=words, size=_SIZE, look="quiet") for words in lines)]


def strip_height(saga: Saga, band: Band, width: float) -> float:
    return sum(leading(line) for line in strip(saga, band, width))


def if_refused(saga: Saga, band: Band) -> str:
    """Tell what a refusal of this step comes to."""
    if not band.failure:
        return ""
    undone = [step.name for step in saga.steps[: band.number - 1] if step.undo][::-1]
    return f"Refused: undoes {', '.join(undone)}" if undone else "Refused: nothing to undo"


def if_unknown(band: Band) -> str:
    """Tell what it comes to when nobody knows whether the step happened."""
    asks = "asks what became of it, then " if band.step.probe else ""
    if band.pivot or not band.failure:
        return f"No answer: {asks}stuck, a person decides"
    return f"No answer: {asks}undoes {band.step.name} too" if band.undoing else ""


def _name(band: Band) -> Text:
    return Text(words=f"{band.number}. {band.step.name}", size=13, look="bold")
