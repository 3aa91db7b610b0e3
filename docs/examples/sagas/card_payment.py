"""A card payment: authorise it, take loyalty points, capture it. Everything before the capture can be undone."""

from machines import (
    IN_DOUBT, NEVER, REFUSED, REFUSED_UNDO, SUCCEEDED, Saga, at, callback, cents, choice, compensatable, const, delete,
    get, integer, money, pivot, post, secret, text,
)  # fmt: skip

CARD_PAYMENT = Saga(
    name="card_payment", version=1, initial="ASKED", completed="PAID", compensated="NOT_PAID",
    data={"order": text(), "member": text(), "points": integer(1), "amount": money(),
          "currency": choice("EUR", "USD", default="EUR"), "card": secret(text())},
    client="member", order="order",
    participants=("card", "loyalty"),
    steps=(
        # A payment that waits for the customer (requires_action) is not a success, but it exists and must be cancelled.
        compensatable("authorise",
                      post("card", "/v1/payments",
                           form={"amount": cents("amount"), "currency": "currency", "card": "card",
                                 "capture": const(False), "metadata[order]": "order"},
                           keeps={"id": text(), "status": choice("requires_capture", "requires_action")},
                           means={409: IN_DOUBT, "status": {"requires_action": REFUSED_UNDO}}),
                      repeatable=True,
                      undo=post("card", "/v1/payments/{authorise.id}/cancel", body=None,
                                means={409: IN_DOUBT, "error.payment.status": {"canceled": SUCCEEDED}}),
                      done="AUTHORISED", refused="DECLINED"),
        # This API has no idempotency keys, so the call is sent once. The probe finds a lost reply by our reference.
        compensatable("redeem",
                      post("loyalty", "/members/{member}/redemptions", points="points", ref="saga.id",
                           keeps={"id": at("redemption.id", integer())}),
                      retry=NEVER,
                      probe=get("loyalty", "/members/{member}/redemptions", query={"ref": "saga.id"},
                                keeps={"id": at("0.id", integer())}, means={"0.id": {None: REFUSED}}),
                      undo=delete("loyalty", "/redemptions/{redeem.id}"),
                      done="POINTS_TAKEN", refused="TOO_FEW_POINTS"),
        # The point of no return. The reply is 202, and the service sends the settled payment to our webhook.
        # When it is in doubt, or no message comes, the probe asks whether the payment is captured.
        pivot("capture",
              post("card", "/v1/payments/{authorise.id}/capture", form={"webhook": "saga.reply_to"},
                   means={409: IN_DOUBT, "status": {"capture_failed": REFUSED}}),
              later=callback(within_s=15 * 60),
              probe=get("card", "/v1/payments/{authorise.id}",
                        means={200: IN_DOUBT,  # any other status
                               "status": {"captured": SUCCEEDED,
                                          "requires_capture": REFUSED, "capture_failed": REFUSED}}),
              done="PAID", refused="NOT_CAPTURED"),
    ),
)  # fmt: skip
