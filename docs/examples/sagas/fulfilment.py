"""A fulfilment: reserve the goods, announce the parcel, pick the goods, print the label and tell the customer."""

from machines import (
    ACCEPTED, IN_DOUBT, REFUSED, SUCCEEDED, Retry, Saga, at, choice, compensatable, const, delete, each_item, get,
    header, integer, join, list_of, object_of, pivot, poll, post, put, retriable, text, total, upper,
)  # fmt: skip

BY_REQUEST_ID = {"X-Request-Id": "saga.key"}  # the carrier's name for an idempotency key

FULFILMENT = Saga(
    name="fulfilment", version=1, initial="ORDERED", completed="CUSTOMER_NOTIFIED", compensated="CALLED_OFF",
    data={"order": text(), "email": text(), "to": object_of({"city": text(), "country": text(2, 2)}),
          "lines": list_of({"sku": text(), "quantity": integer(1)}), "parcels": integer(1, 20),
          "channel": choice("mail", "push", default="mail")},
    order="order", events={"GOODS_PICKED": "GoodsPicked"},
    participants=("warehouse", "carrier", "notifier"),
    steps=(
        # One status has two meanings. The field `reason` of the body decides.
        compensatable("reserve",
                      post("warehouse", "/reservations", order="order", units=total("lines.quantity"),
                           lines=each_item("lines", {"article": "item.sku", "quantity": "item.quantity"}),
                           keeps={"id": at("reservation.id", text())},
                           means={"reason": {"out_of_stock": REFUSED, "in_progress": IN_DOUBT}}),
                      undo=delete("warehouse", "/reservations/{reserve.id}"), repeatable=True,
                      done="RESERVED", refused="OUT_OF_STOCK"),
        compensatable("ship",
                      post("carrier", "/shipments", headers=BY_REQUEST_ID, parcels="parcels",
                           address={"city": "to.city", "country": upper("to.country")},
                           keeps={"id": at("shipment.id", text()), "code": at("shipment.tracking.code", text())}),
                      undo=post("carrier", "/shipments/{ship.id}/cancel", headers=BY_REQUEST_ID), repeatable=True,
                      done="ANNOUNCED", refused="NO_CARRIER", timeout_s=10),
        # Somebody picks the goods, so the reply is 202. The saga asks until the goods are picked or one is missing.
        pivot("pick",
              post("warehouse", "/reservations/{reserve.id}/pick", body=None,
                   means={"reason": {"in_progress": IN_DOUBT, "picked": SUCCEEDED}}),
              later=poll(get("warehouse", "/reservations/{reserve.id}",
                             means={"reservation.status": {"picking": ACCEPTED, "short": REFUSED,
                                                           "reserved": IN_DOUBT}}),
                         every_s=1, slowest_s=60, within_s=8 * 3_600),
              done="GOODS_PICKED", refused="NOT_PICKED"),
        # The reply is a PDF. The saga keeps only its address, from the header Location.
        retriable("label", put("carrier", "/shipments/{ship.id}/label", body=None, means={201: SUCCEEDED},
                               keeps={"at": header("Location")}, retry=Retry(attempts=20)),
                  done="LABELLED"),
        # This participant always answers 202, and sends no later answer. It sends a message with a known tag only once.
        retriable("notify", post("notifier", "/messages", means={202: SUCCEEDED},
                                 form={"to": "email", "via": [const("log"), "channel"], "tag": "saga.key",
                                       "text": join("", const("Your parcel "), "ship.code", const(" is on its way"))}),
                  done="CUSTOMER_NOTIFIED"),
    ),
)  # fmt: skip
