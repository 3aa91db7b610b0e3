"""`saga verify` explores a wait that begins in the commit which ends a pause: its time has not begun before."""

import pytest

from machines import approval, pause, pivot, post, retriable, wait
from machines.verify import verify
from tests.unit.machines.tables import saga

NEXT = {
    "pause": lambda **ends: pause("next", for_s=50, **ends),
    "wait": lambda **ends: wait("next", signal="next", within_s=50, **ends),
    "approval": lambda **ends: approval("next", role="operator", within_s=50, **ends),
}


@pytest.mark.parametrize("kind", NEXT)
def test_every_state_of_waits_in_a_row_is_reached(kind):
    result = verify(
        saga(
            pause("cool", for_s=50, done="COOL", refused="NOT_COOL"),
            NEXT[kind](done="WAITED", refused="NOT_WAITED"),
            pivot("pay", post("shop", "/pay"), done="PAID", refused="NO_PAY"),
            retriable("tell", post("shop", "/tell"), done="DONE"),
        )
    )
    assert (result.faults, result.complete, result.unreached) == ([], True, ())
