"""A purchase. It has no pivot, so even a completed purchase can be undone as a whole.

The stock service asks the catalogue whether `amount` is the price of the items, before anything is reserved or paid.
"""

from machines.amounts import taken
from machines.call import post
from machines.fields import amount, integer, list_of, text
from machines.saga import Saga
from machines.step import compensatable, read

PURCHASE = Saga(
    name="purchase_saga", version=2, initial="PENDING", completed="COMPLETED", compensated="COMPENSATED",
    data={
        "store_id": integer(low=1),
        "customer_id": integer(low=1, example=123),
        "items": list_of({"product_id": integer(low=1, example=456),
                          "quantity": integer(low=1, high=1_000_000, example=2), "price": amount(example=29.99)}),
        "payment_method": text(example="credit_card"),
        "amount": amount(),
    },
    client="customer_id", store="store_id", order="CREATE_SALE.vente_id",
    participants=("stock", "client", "ventes"),
    title="Purchase",
    steps=(
        read("VALIDATE_INVENTORY", post("stock", "/disponibilite", produits="items", montant="amount"),
             title="Check the goods and the price", done="INVENTORY_VALIDATED", refused="INVENTORY_INVALID"),
        compensatable("RESERVE_INVENTORY", post("stock", "/reserver", produits="items"),
                      undo=post("stock", "/liberer"), undoing="RELEASE_INVENTORY", title="Reserve the goods",
                      done="INVENTORY_RESERVED", refused="RESERVATION_FAILED"),
        compensatable("PROCESS_PAYMENT", post("client", "/{customer_id}/payer", montant="amount"),
                      undo=post("client", "/{customer_id}/rembourser"), undoing="REFUND_PAYMENT",
                      title="Take the payment", amount=taken("amount", "EUR"),
                      done="PAYMENT_PROCESSED", refused="PAYMENT_FAILED"),
        compensatable("CREATE_SALE",
                      post("ventes", "/ventes", client_id="customer_id", magasin_id="store_id", produits="items",
                           montant="amount"),
                      undo=post("ventes", "/ventes/annuler"), undoing="CANCEL_SALE", title="Record the sale",
                      done="SALE_CREATED", refused="SALE_FAILED"),
        compensatable("UPDATE_INVENTORY",
                      post("stock", "/vendre", reservation_id="RESERVE_INVENTORY.reservation_id"),
                      undo=post("stock", "/vendre/annuler"), undoing="REVERSE_INVENTORY_UPDATE",
                      title="Sell the goods",
                      done="COMPLETED", refused="UPDATE_FAILED"),
    ),
)  # fmt: skip
