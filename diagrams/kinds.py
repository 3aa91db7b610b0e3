"""A step's own state machine: for each kind of step, the smallest table that has one, derived like any other."""

from machines.call import post
from machines.saga import Saga
from machines.step import Step, compensatable, pivot, read, retriable

_DO, _UNDO = post("participant", "/do"), post("participant", "/undo")


def _table(kind: str, initial: str, *steps: Step) -> Saga:
    return Saga(
        name=f"step_{kind}", version=1, initial=initial, completed="SUCCEEDED", compensated="UNDONE",
        data={}, participants=("participant",), steps=steps,
    )  # fmt: skip


STEP_KINDS = (
    _table("read", "PENDING", read("step", _DO, doing="IN_FLIGHT", done="SUCCEEDED", refused="FAILED")),
    _table(
        "compensatable", "PENDING",
        compensatable("step", _DO, undo=_UNDO, doing="IN_FLIGHT", undoing="UNDOING", done="SUCCEEDED",
                      refused="FAILED"),
    ),
    _table("pivot", "PENDING", pivot("step", _DO, doing="IN_FLIGHT", done="SUCCEEDED", refused="FAILED")),
    # A table needs a way to each end, so here a read stands before it.
    _table(
        "retriable", "BEFORE",
        read("before", post("participant", "/read"), done="PENDING", refused="BEFORE_FAILED"),
        retriable("step", _DO, doing="IN_FLIGHT", done="SUCCEEDED"),
    ),
)  # fmt: skip
