"""A return of goods from a purchase: announce it, refund it, restock the goods and record the return.

The announcement reserves the goods for this return before any refund. Its reply field `achat` names the purchase to
the other participants. So they do not return more money than the purchase paid, or goods of another purchase.
"""

from machines.amounts import paid
from machines.call import post
from machines.fields import amount, integer, list_of, text
from machines.saga import Saga
from machines.step import compensatable

RETURN = Saga(
    name="return_saga", version=2, initial="PENDING", completed="COMPLETED", compensated="COMPENSATED",
    data={
        "sale_id": text(example="a3b1c9d2-0000-4000-8000-000000000000"),
        "customer_id": integer(low=1, example=123),
        "items": list_of({"product_id": integer(low=1, example=456),
                          "quantity": integer(low=1, high=1_000_000, example=2),
                          "reason": text(example="defective")}),
        "refund_amount": amount(),
    },
    client="customer_id", order="sale_id",
    participants=("ventes", "client", "stock"),
    title="Return of goods",
    steps=(
        compensatable("VALIDATE_RETURN",
                      post("ventes", "/ventes/{sale_id}/retours/annoncer", client_id="customer_id", produits="items",
                           montant="refund_amount"),
                      undo=post("ventes", "/ventes/{sale_id}/retours/annoncer/annuler"), undoing="RELEASE_RETURN",
                      title="Announce the return",
                      done="RETURN_VALIDATED", refused="RETURN_INVALID"),
        compensatable("PROCESS_REFUND",
                      post("client", "/{customer_id}/crediter", montant="refund_amount", achat="VALIDATE_RETURN.achat"),
                      undo=post("client", "/{customer_id}/crediter/annuler"), undoing="REVERSE_REFUND",
                      title="Pay the refund", amount=paid("refund_amount", "EUR"),
                      done="REFUND_PROCESSED", refused="REFUND_FAILED"),
        compensatable("RESTORE_INVENTORY",
                      post("stock", "/remettre", produits="items", achat="VALIDATE_RETURN.achat"),
                      undo=post("stock", "/remettre/annuler"), undoing="REVERSE_INVENTORY_RESTORE",
                      title="Restock the goods", done="INVENTORY_RESTORED", refused="RESTORE_FAILED"),
        compensatable("UPDATE_SALE",
                      post("ventes", "/ventes/{sale_id}/retours/enregistrer", retour_id="VALIDATE_RETURN.retour_id"),
                      undo=post("ventes", "/ventes/{sale_id}/retours/enregistrer/annuler"),
                      undoing="REVERSE_SALE_UPDATE",
                      title="Record the return", done="COMPLETED", refused="SALE_UPDATE_FAILED"),
    ),
)  # fmt: skip
