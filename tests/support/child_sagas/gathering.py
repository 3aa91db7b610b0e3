"""A meeting asks each guest and the landlord at the same time. Everything only waits, so it needs no participant."""

from machines import Saga, approval, branch, each, list_of, text, together

MEETING = Saga(
    name="meeting",
    version=1,
    initial="PLANNED",
    completed="FIXED",
    compensated="CALLED_OFF",
    participants=(),
    data={"guests": list_of({"name": text()}, low=0)},
    deadline_s=30 * 86_400,
    steps=(
        together(
            branch(
                "guests",
                each(
                    "guests",
                    approval("invite", role="operator", within_s=86_400, done="COMES", refused="STAYS_AWAY"),
                    done="ALL_COME",
                    refused="NOT_ALL_COME",
                ),
            ),
            approval("rent", role="operator", within_s=86_400, done="RENTED", refused="NO_ROOM"),
            name="prepare",
            done="PREPARED",
            refused="NOT_PREPARED",
        ),
        approval("fix", role="operator", within_s=86_400, done="FIXED", refused="NOT_FIXED"),
    ),
)
