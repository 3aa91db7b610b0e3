"""A saga of one compensatable step, whose participant keeps the barrier."""

from machines import Saga, at, compensatable, get, post, secret, text

SEAT = Saga(
    name="seat", version=1, initial="ASKED", completed="HELD", compensated="CALLED_OFF",
    data={"city": text(example="Oslo"), "card": secret(text(example="4111-secret"))},
    participants=("airline",),
    steps=(
        compensatable("hold", post("airline", "/bookings", city="city", card="card", keeps={"id": at("id", text())}),
                      undo=post("airline", "/bookings/undo"), probe=get("airline", "/bookings/outcome"),
                      done="HELD", refused="NO_SEAT"),
    ),
)  # fmt: skip
