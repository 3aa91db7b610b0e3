"""A trip: a seat, a room, a car and the bill, from four companies whose APIs have nothing in common."""

from machines import (
    IN_DOUBT, SUCCEEDED, Saga, at, boolean, choice, compensatable, const, date, delete, fallback, header, integer, join,
    list_of, maybe, money, number_of, optional, post, put, retriable, text,
)  # fmt: skip

TRIP = Saga(
    name="trip", version=1, initial="ASKED", completed="BOOKED", compensated="CALLED_OFF",
    data={"traveller": text(), "city": text(), "day": date(), "nights": integer(1, 90),
          "cabin": choice("ECONOMY", "BUSINESS", default="ECONOMY"), "meal": optional(text()),
          "refundable": boolean(default=False), "extras": list_of(text(), low=0)},
    client="traveller", order="bill.number",
    participants=("flight", "hotel", "car", "invoice"),
    steps=(
        # The airline chooses the id. A repeated key gets the first reply, so a lost id is requested again.
        compensatable("fly",
                      post("flight", "/v1/bookings", query={"channel": const("web")},
                           body={"passenger": {"name": "traveller", "meal": maybe("meal")},
                                 "route": {"to": "city", "date": "day"}, "cabin": "cabin", "refundable": "refundable"},
                           keeps={"id": at("booking.id", text()), "price": at("booking.price.amount", money())},
                           means={"error.code": {"request_in_progress": IN_DOUBT}}),
                      undo=delete("flight", "/v1/bookings/{fly.id}"), repeatable=True,
                      done="SEAT_HELD", refused="NO_SEAT"),
        # We choose the id of the reservation. PUT and DELETE may be repeated.
        compensatable("sleep",
                      put("hotel", "/reservations/{saga.id}", body={"city": "city", "from": "day", "nights": "nights"}),
                      undo=delete("hotel", "/reservations/{saga.id}"), done="ROOM_HELD", refused="NO_ROOM"),
        # The id of the rental is the last segment of the header Location; the body is empty.
        compensatable("drive",
                      post("car", "/rentals", query={"city": "city", "days": "nights", "extras": "extras"}, body=None,
                           keeps={"id": header("Location", last_segment=True)}),
                      undo=delete("car", "/rentals/{drive.id}"), repeatable=True, done="CAR_HELD", refused="NO_CAR"),
        # 409 means that the invoice exists. It is ours, because its reference is the saga's id.
        retriable("bill",
                  post("invoice", "/invoices",
                       body={"reference": "saga.id", "total": number_of("fly.price"),
                             "lines": [{"text": join(" ", const("Flight to"), "city"), "booking": "fly.id"}],
                             "note": fallback("meal", const("without a meal"))},
                       keeps={"number": at("data.number", text())}, means={409: SUCCEEDED}),
                  done="BOOKED"),
    ),
)  # fmt: skip
