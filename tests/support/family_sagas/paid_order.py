"""An order that starts the saga of its payment as its child. Every step calls the participant `shop`."""

from machines import Saga, at, compensatable, post, sub, text

PAYMENT = Saga(
    name="payment",
    version=1,
    initial="ASKED",
    completed="PAID",
    compensated="NOT_PAID",
    participants=("shop",),
    data={"customer": text()},
    steps=(
        compensatable(
            "authorize",
            post("shop", "/authorize", keeps={"id": text()}),
            undo=post("shop", "/void"),
            done="AUTHORIZED",
            refused="DECLINED",
        ),
        compensatable(
            "capture", post("shop", "/capture"), undo=post("shop", "/refund"), done="PAID", refused="NOT_CAPTURED"
        ),
    ),
)
ORDER = Saga(
    name="order",
    version=1,
    initial="NEW",
    completed="SENT",
    compensated="CALLED_OFF",
    participants=("shop",),
    data={"customer": text()},
    steps=(
        compensatable("hold", post("shop", "/hold"), undo=post("shop", "/free"), done="HELD", refused="SHORT"),
        sub(
            "payment",
            data={"customer": "customer"},
            keeps={"id": at("authorize.id", text())},
            done="PAID_FOR",
            refused="NOT_PAID_FOR",
        ),
        compensatable(
            "send",
            post("shop", "/send", paid="payment.id"),
            undo=post("shop", "/recall"),
            done="SENT",
            refused="NOT_SENT",
        ),
    ),
)
