"""A saga that only waits, so that it needs no participant."""

from machines import Saga, approval, choice, integer, optional, text, wait

LEAVE = Saga(
    name="leave",
    version=1,
    initial="ASKED",
    completed="TAKEN",
    compensated="NOT_TAKEN",
    participants=(),
    data={"person": text(), "number": text()},
    client="person",
    order="number",
    deadline_s=30 * 86_400,
    steps=(
        approval("agree", role="operator", within_s=86_400, done="AGREED", refused="DENIED"),
        wait(
            "plan",
            signal="plan",
            within_s=86_400,
            done="TAKEN",
            refused="NOT_PLANNED",
            brings={"days": integer(1, 30), "how": choice("paid", "unpaid"), "note": optional(text())},
        ),
    ),
)
