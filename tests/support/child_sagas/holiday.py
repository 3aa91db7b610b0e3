"""A trip starts the saga of a leave as its child. Both only wait, so that they need no participant."""

from machines import Saga, approval, at, integer, sub, text, wait

LEAVE = Saga(
    name="leave",
    version=1,
    initial="ASKED",
    completed="TAKEN",
    compensated="NOT_TAKEN",
    participants=(),
    data={"person": text()},
    deadline_s=30 * 86_400,
    steps=(
        wait(
            "agree",
            signal="agree",
            within_s=86_400,
            brings={"days": integer(1, 30)},
            done="TAKEN",
            refused="NOT_AGREED",
        ),
    ),
)
TRIP = Saga(
    name="trip",
    version=1,
    initial="PLANNED",
    completed="BOOKED",
    compensated="DROPPED",
    participants=(),
    data={"person": text()},
    deadline_s=30 * 86_400,
    steps=(
        sub(
            "leave",
            data={"person": "person"},
            keeps={"days": at("agree.days", integer(1, 30))},
            done="FREE",
            refused="NOT_FREE",
        ),
        approval("book", role="operator", within_s=86_400, done="BOOKED", refused="NOT_BOOKED"),
    ),
)
