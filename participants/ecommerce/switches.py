"""The switches: what each participant of an order can be told to do wrong, and in which position they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from participants.ecommerce.neighbours import Neighbours

#: Long enough to be watched, and well within the five seconds that a call may take.
SLOW_S = 1.2

#: The participants of an order, by the names a customer knows them under.
PARTICIPANTS: Mapping[str, str] = {"panier": "Cart", "stock": "Stock", "client": "Payment", "ventes": "Sales"}


class Mode(StrEnum):
    NORMAL = "normal"
    SLOW = "slow"
    REFUSE = "refuse"
    LOSE = "lose"
    DOWN = "down"


EXPLAINED: Mapping[Mode, str] = {
    Mode.NORMAL: "answers at once",
    Mode.SLOW: f"each call lasts {SLOW_S} s",
    Mode.REFUSE: "says no to whatever is asked",
    Mode.LOSE: "does the next call, but its reply is lost",
    Mode.DOWN: "does nothing, and answers 503",
}

_KINDS = {Mode.SLOW: "slow", Mode.REFUSE: "refuse", Mode.LOSE: "lose_reply", Mode.DOWN: "fail"}


@dataclass(frozen=True, kw_only=True)
class Switch:
    """mode: None when somebody has ordered what no switch here stands for."""

    name: str
    title: str
    mode: Mode | None


def positions(neighbours: Neighbours) -> list[Switch] | None:
    """None: this installation takes no orders for faults. Raises AwayError."""
    found = []
    for name, title in PARTICIPANTS.items():
        faults = neighbours.faults(name)
        if faults is None:
            return None
        modes = [mode for mode, kind in _KINDS.items() if faults and faults[0]["kind"] == kind]
        found.append(Switch(name=name, title=title, mode=modes[0] if modes else None if faults else Mode.NORMAL))
    return found


def turn(neighbours: Neighbours, name: str, mode: Mode) -> None:
    """Set the mode of one participant. Raise AwayError."""
    neighbours.order_fault(name, _fault(name, mode))


def slow_down(neighbours: Neighbours) -> None:
    """Slow down whoever behaves, so that an order can be watched; who misbehaves goes on so. Raises AwayError."""
    for switch in positions(neighbours) or ():
        if switch.mode is Mode.NORMAL:
            turn(neighbours, switch.name, Mode.SLOW)


def _fault(name: str, mode: Mode) -> dict[str, Any] | None:
    if mode is Mode.NORMAL:
        return None
    fault = {"kind": _KINDS[mode], "seconds": SLOW_S, "times": 1 if mode is Mode.LOSE else None}
    if name == "panier":
        fault["method"] = "GET"  # a cart is read by the orchestrator, and filled by the shop: that always works
    elif mode in (Mode.REFUSE, Mode.LOSE):
        fault["method"] = "POST"  # the one reply to lose is not that of some look at the stock
    return fault
