"""The switches: the mode of each participant of an order, such as slow or down."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from participants.ecommerce.other_participants import OtherParticipants

#: Duration of a slow call in seconds: long enough to watch, and well below the timeout of 5 s.
SLOW_S = 1.2

#: The participants of an order and their titles for customers.
TITLES: Mapping[str, str] = {"panier": "Cart", "stock": "Stock", "client": "Payment", "ventes": "Sales"}


class Mode(StrEnum):
    NORMAL = "normal"
    SLOW = "slow"
    REFUSE = "refuse"
    LOSE = "lose"
    DOWN = "down"


EXPLAINED: Mapping[Mode, str] = {
    Mode.NORMAL: "answers at once",
    Mode.SLOW: "each call lasts over a second",
    Mode.REFUSE: "says no to whatever is asked",
    Mode.LOSE: "does the next call, but its reply is lost",
    Mode.DOWN: "does nothing, and answers 503",
}

_KINDS = {Mode.SLOW: "slow", Mode.REFUSE: "refuse", Mode.LOSE: "lose_reply", Mode.DOWN: "fail"}


@dataclass(frozen=True, kw_only=True)
class Switch:
    """The switch of one participant. `mode`: None when the participant has a fault that no switch represents."""

    name: str
    title: str
    mode: Mode | None


def positions(participants: OtherParticipants) -> list[Switch] | None:
    """Return the switches; None when the participants take no orders for faults. Raise AwayError."""
    found = []
    for name, title in TITLES.items():
        faults = participants.faults(name)
        if faults is None:
            return None
        modes = [mode for mode, kind in _KINDS.items() if faults and faults[0]["kind"] == kind]
        found.append(Switch(name=name, title=title, mode=modes[0] if modes else None if faults else Mode.NORMAL))
    return found


def turn(participants: OtherParticipants, name: str, mode: Mode) -> None:
    """Set the mode of one participant. Raise AwayError."""
    fault = _fault(name, mode)
    participants.order_faults(name, *([fault] if fault else []))


def set_up(participants: OtherParticipants, faults: Mapping[str, Mapping[str, Any]], slow_s: float) -> None:
    """Order the faults of an experiment, and slowness for all other calls of the saga. Raise AwayError."""
    for name in TITLES:
        slow = {"kind": _KINDS[Mode.SLOW], "seconds": slow_s, "times": None, "method": _method(name)}
        participants.order_faults(name, *([faults[name]] if name in faults else []), slow)


def slow_down(participants: OtherParticipants, slowed: Collection[str]) -> list[str]:
    """Slow down each participant in normal mode, so that an order can be watched. Raise AwayError.

    slowed: the participants that are slow for another order. Return all that are slow for this order.
    """
    found = []
    for switch in positions(participants) or ():
        if switch.mode is Mode.NORMAL:
            turn(participants, switch.name, Mode.SLOW)
        if switch.mode is Mode.NORMAL or (switch.mode is Mode.SLOW and switch.name in slowed):
            found.append(switch.name)
    return found


def speed_up(participants: OtherParticipants, names: Collection[str]) -> None:
    """Set the participants with these names that are slow to normal. Raise AwayError."""
    for switch in (positions(participants) or ()) if names else ():
        if switch.name in names and switch.mode is Mode.SLOW:
            turn(participants, switch.name, Mode.NORMAL)


def _fault(name: str, mode: Mode) -> dict[str, Any] | None:
    if mode is Mode.NORMAL:
        return None
    fault = {"kind": _KINDS[mode], "seconds": SLOW_S, "times": 1 if mode is Mode.LOSE else None}
    if name == "panier" or mode in (Mode.REFUSE, Mode.LOSE):
        fault["method"] = _method(name)
    return fault


def _method(name: str) -> str:
    """Return the method of the saga's calls to a participant.

    The shop must still be able to fill the cart, and its reads must not use up a fault.
    """
    return "GET" if name == "panier" else "POST"
