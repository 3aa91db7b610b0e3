"""A saga of one step, whose participant answers later at Saga-Reply-To."""

from machines import Saga, callback, compensatable, post, text

ROOM = Saga(
    name="room", version=1, initial="ASKED", completed="BOOKED", compensated="CALLED_OFF",
    data={"city": text(example="Oslo")},
    participants=("hotel",),
    steps=(
        compensatable("book", post("hotel", "/bookings", city="city", keeps={"id": text()}),
                      undo=post("hotel", "/bookings/undo"), later=callback(within_s=5),
                      done="BOOKED", refused="NO_ROOM"),
    ),
)  # fmt: skip
