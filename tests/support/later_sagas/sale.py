"""A saga whose payment is accepted with 202 and answered by a callback."""

from machines import REFUSED, Saga, callback, pivot, post, text

SALE = Saga(
    name="sale",
    version=1,
    initial="ASKED",
    completed="PAID",
    compensated="CALLED_OFF",
    participants=("bank",),
    data={"customer": text()},
    deadline_s=86_400,
    steps=(
        pivot(
            "pay",
            post(
                "bank",
                "/payments",
                body={"customer": "customer", "notify": "saga.reply_to"},
                keeps={"payment.id": text()},
                means={"payment.state": {"failed": REFUSED, "pending": "in_doubt"}},
            ),
            later=callback(within_s=3_600),
            done="PAID",
            refused="NOT_PAID",
        ),
    ),
)
