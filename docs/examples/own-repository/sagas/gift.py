"""The saga gift: reserve, pay, confirm. Change the steps; docs/tables.md has every word."""

from machines import Saga, compensatable, pivot, post, retriable, text

GIFT = Saga(
    name="gift",
    version=1,
    initial="ASKED",
    completed="CONFIRMED",
    compensated="CALLED_OFF",
    data={"customer": text(example="Ada")},
    client="customer",
    participants=("shop",),
    steps=(
        compensatable(
            "reserve",
            post("shop", "/reservations", customer="customer"),
            undo=post("shop", "/reservations/undo"),
            done="RESERVED",
            refused="NOT_RESERVED",
        ),
        pivot("pay", post("shop", "/payments", customer="customer"), done="PAID", refused="NOT_PAID"),
        retriable("confirm", post("shop", "/confirmations", customer="customer"), done="CONFIRMED"),
    ),
)
