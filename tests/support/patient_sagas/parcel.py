"""A saga that waits in each way: for a callback, for a signal, and for a time."""

from machines import REFUSED, Saga, boolean, callback, compensatable, pause, pivot, post, text, wait

PARCEL = Saga(
    name="parcel",
    version=1,
    initial="ASKED",
    completed="PAID",
    compensated="CALLED_OFF",
    participants=("shop",),
    data={"customer": text()},
    deadline_s=86_400,
    steps=(
        compensatable(
            "pack",
            post("shop", "/parcels", customer="customer"),
            undo=post("shop", "/parcels/undo"),
            later=callback(within_s=3_600),
            done="PACKED",
            refused="NOT_PACKED",
        ),
        wait(
            "agree",
            signal="agree",
            within_s=3_600,
            brings={"yes": boolean()},
            means={"yes": {False: REFUSED}},
            done="AGREED",
            refused="NOT_AGREED",
        ),
        pause("rest", for_s=3_600, done="RESTED", refused="NOT_RESTED"),
        pivot("pay", post("shop", "/payments", customer="customer"), done="PAID", refused="NOT_PAID"),
    ),
)
