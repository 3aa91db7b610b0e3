"""Sagas that wait for a callback, a signal, a time or a date; the times are short enough for a test."""

from machines import Saga, callback, compensatable, datetime, pause, pivot, post, text, wait

DATA = {"customer": text()}
PAY = pivot("pay", post("shop", "/payments", customer="customer"), done="PAID", refused="NOT_PAID")
ENDS = {"version": 1, "initial": "ASKED", "completed": "PAID", "compensated": "CALLED_OFF", "participants": ("shop",)}

#: The participant answers later, within half an hour.
PACKED = Saga(
    name="packed", **ENDS, data=DATA, deadline_s=3_000,
    steps=(
        compensatable(
            "pack", post("shop", "/parcels", customer="customer"), undo=post("shop", "/parcels/undo"),
            later=callback(within_s=1_800), done="PACKED", refused="NOT_PACKED",
        ),
        PAY,
    ),
)  # fmt: skip
#: A signal ends the wait, or half an hour.
SIGNALLED = Saga(
    name="signalled", **ENDS, data=DATA, deadline_s=3_000,
    steps=(wait("agree", signal="agree", within_s=1_800, done="AGREED", refused="NOT_AGREED"), PAY),
)  # fmt: skip
#: The wait for a signal that never comes is over after 3 seconds.
EXPIRED = Saga(
    name="expired", **ENDS, data=DATA, deadline_s=3_000,
    steps=(
        compensatable(
            "hold", post("shop", "/holds", customer="customer"), undo=post("shop", "/holds/undo"), done="HELD",
            refused="NOT_HELD",
        ),
        wait("agree", signal="agree", within_s=3, done="AGREED", refused="NOT_AGREED"),
        PAY,
    ),
)  # fmt: skip
#: A pause of 3 seconds.
RESTED = Saga(
    name="rested", **ENDS, data=DATA, steps=(pause("rest", for_s=3, done="RESTED", refused="NOT_RESTED"), PAY)
)
#: A pause until a time of the data.
DATED = Saga(
    name="dated", **ENDS, data=DATA | {"at": datetime()}, deadline_s=3_000,
    steps=(pause("rest", until="at", done="RESTED", refused="NOT_RESTED"), PAY),
)  # fmt: skip
