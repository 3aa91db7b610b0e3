"""Sagas over one participant, a bank whose answer to the step `pay` may come later."""

from typing import Any

from machines.call import post
from machines.fields import text
from machines.saga import Saga
from machines.step import Step, compensatable, pivot, retriable
from tests.integration.engine.scene import Scene

HOUR = 3_600.0
_HOLD = compensatable("hold", post("bank", "/hold"), undo=post("bank", "/release"), done="HELD", refused="SHORT")
_NAMES = {"version": 1, "initial": "ASKED", "completed": "SENT", "compensated": "CALLED_OFF"}


def sale(pay: dict[str, Any] | None = None, *between: Step, **columns: Any) -> Saga:
    """Return a saga with a compensatable step `pay`, and with a pivot as its last step.

    pay: columns of the call of `pay`. between: the steps after it. columns: columns of the step.
    """
    usual = {"undo": post("bank", "/refund"), "done": "PAID", "refused": "DECLINED"}
    return Saga(
        name="sale", **_NAMES, participants=("bank",), data={"customer": text()}, deadline_s=100 * HOUR,
        steps=(
            _HOLD,
            compensatable("pay", post("bank", "/pay", **(pay or {})), **(usual | columns)),
            *between,
            pivot("send", post("bank", "/send"), done="SENT", refused="NOT_SENT"),
        ),
    )  # fmt: skip


def capture(pay: dict[str, Any] | None = None, **columns: Any) -> Saga:
    """Return a saga whose pivot is `pay`. The arguments are those of `sale`."""
    usual = {"done": "PAID", "refused": "DECLINED"}
    return Saga(
        name="capture", **_NAMES, participants=("bank",), data={"customer": text()}, deadline_s=10 * HOUR,
        steps=(
            _HOLD,
            pivot("pay", post("bank", "/pay", **(pay or {})), **(usual | columns)),
            retriable("send", post("bank", "/send"), done="SENT"),
        ),
    )  # fmt: skip


def state(scene: Scene) -> str:
    return str(scene.rows("SELECT state FROM saga")[0]["state"])


def moves(scene: Scene) -> list[tuple[str, str]]:
    """Return the trigger and the state of each move out of the wait for the bank's answer."""
    rows = scene.rows("SELECT \"trigger\", dest FROM journal WHERE source = 'AWAITING_PAY' ORDER BY seq")
    return [(row["trigger"], row["dest"]) for row in rows]
