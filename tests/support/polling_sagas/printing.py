"""A saga whose job is accepted with 202 and asked for at the Location of the 202."""

from machines import ACCEPTED, REFUSED, Saga, compensatable, get, header, optional, pivot, poll, post, text

PRINTING = Saga(
    name="printing",
    version=1,
    initial="ASKED",
    completed="PAID",
    compensated="CALLED_OFF",
    participants=("press",),
    data={"customer": text()},
    deadline_s=7_200,
    steps=(
        compensatable(
            "print",
            post("press", "/jobs", customer="customer", keeps={"place": optional(header("Location"))}),
            later=poll(
                get("press", "{print.place}", means={"status": {"queued": ACCEPTED, "failed": REFUSED}}),
                every_s=1,
                slowest_s=2,
                within_s=3_600,
            ),
            undo=post("press", "/jobs/undo"),
            done="PRINTED",
            refused="NOT_PRINTED",
        ),
        pivot("pay", post("press", "/payments", customer="customer"), done="PAID", refused="NOT_PAID"),
    ),
)
