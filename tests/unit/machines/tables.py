"""Tables for tests: a legal table for any order of kinds, and functions that follow its transitions."""

from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from machines.call import get, post
from machines.fields import integer
from machines.saga import Saga
from machines.step import Kind, Step, compensatable, pivot, read, retriable
from machines.transitions import Trigger

READ, COMPENSATABLE, PIVOT, RETRIABLE, *_ = Kind

LOOK = get("shop", "/{client_id}")
DO = post("shop", "/do", client_id="client_id")
UNDO = post("shop", "/undo", client_id="client_id")

quick = settings(max_examples=40, deadline=None)


def saga(*steps: Step, **columns: Any) -> Saga:
    """Return a saga with these steps. All other columns have legal values, unless `columns` replaces them."""
    usual = {
        "name": "sale",
        "version": 1,
        "initial": "STARTED",
        "completed": "DONE",
        "compensated": "CANCELLED",
        "data": {"client_id": integer(low=1)},
        "participants": ("shop",),
    }
    return Saga(**(usual | columns), steps=steps)


def look(name: str = "look", **columns: Any) -> Step:
    return read(name, **({"call": LOOK, "done": "DONE", "refused": f"NO_{name.upper()}"} | columns))


def hold(name: str = "hold", **columns: Any) -> Step:
    usual = {"call": DO, "undo": UNDO, "done": "DONE", "refused": f"NO_{name.upper()}"}
    return compensatable(name, **(usual | columns))


def sell(name: str = "sell", **columns: Any) -> Step:
    return pivot(name, **({"call": DO, "done": "DONE", "refused": f"NO_{name.upper()}"} | columns))


def tell(name: str = "tell", **columns: Any) -> Step:
    return retriable(name, **({"call": DO, "done": "DONE"} | columns))


def table(kinds: Sequence[Kind], doing: Sequence[bool] = ()) -> Saga:
    """Return a saga with one step of each kind in turn, named `a`, `b`, ….

    A step has a doing state when its element of `doing` is True.
    """
    steps = []
    for number, kind in enumerate(kinds):
        name = "abcdefghijkl"[number]
        columns: dict[str, Any] = {"done": "DONE" if number == len(kinds) - 1 else f"{name.upper()}_DONE"}
        if kind is READ and not can_be_refused(kinds, number):
            columns["refused"] = None
        if any(doing[number : number + 1]):
            columns["doing"] = f"{name.upper()}_DOING"
        steps.append({READ: look, COMPENSATABLE: hold, PIVOT: sell, RETRIABLE: tell}[kind](name, **columns))
    return saga(*steps)


def can_be_refused(kinds: Sequence[Kind], number: int) -> bool:
    return kinds[number] is not RETRIABLE and not {PIVOT, RETRIABLE} & set(kinds[:number])


@st.composite
def legal_tables(draw: st.DrawFn) -> Saga:
    front = draw(st.lists(st.sampled_from([READ, COMPENSATABLE]), max_size=4))
    point = draw(st.sampled_from([[], [PIVOT]])) if front else [PIVOT]
    after = draw(st.lists(st.sampled_from([READ, RETRIABLE]), max_size=3))
    kinds = [*front, *point, *after]
    return table(kinds, draw(st.lists(st.booleans(), max_size=len(kinds))))


def edges(saga: Saga) -> dict[tuple[str, Trigger], str]:
    return {(transition.source, transition.trigger): transition.dest for transition in saga.transitions}


def leaving(saga: Saga, state: str) -> dict[Trigger, str]:
    return {transition.trigger: transition.dest for transition in saga.transitions if transition.source == state}


def reachable(saga: Saga, state: str) -> set[str]:
    seen: set[str] = set()
    ahead = {state}
    while ahead:
        seen |= ahead
        ahead = {transition.dest for transition in saga.transitions if transition.source in ahead} - seen
    return seen


def entry_of(saga: Saga, number: int) -> str:
    """Return the state in which the call of step `number` is in flight."""
    before = saga.steps[number - 1].done if number else saga.initial
    return saga.steps[number].doing or before


def point_of_no_return(saga: Saga) -> int | None:
    """Return the number of the first pivot or retriable step."""
    return next((n for n, step in enumerate(saga.steps) if step.kind in (PIVOT, RETRIABLE)), None)
