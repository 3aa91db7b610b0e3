"""A saga that waits for two signals, one after the other; a program may send both."""

from machines import Saga, integer, text, wait

EARLY = Saga(
    name="early",
    version=1,
    initial="ASKED",
    completed="TAKEN",
    compensated="NOT_TAKEN",
    participants=(),
    data={"person": text(), "number": text()},
    order="number",
    deadline_s=30 * 86_400,
    steps=(
        wait("one", signal="first", within_s=86_400, done="AGREED", refused="DENIED"),
        wait("two", signal="second", within_s=86_400, brings={"days": integer(1, 30)}, done="TAKEN", refused="NONE"),
    ),
)
