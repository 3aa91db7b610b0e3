"""A customer's checkout: read the cart, reserve its goods, take the payment, record the sale and confirm it."""

from machines.amounts import taken
from machines.call import get, post
from machines.fields import integer
from machines.saga import Saga
from machines.step import compensatable, pivot, read, retriable

CHECKOUT = Saga(
    name="checkout", version=1, initial="INITIEE", completed="CONFIRMEE", compensated="ANNULEE",
    data={"client_id": integer(low=1, example=4), "magasin_id": integer(low=1)},
    client="client_id", store="magasin_id", order="enregistrer_vente.vente_id",
    participants=("panier", "stock", "client", "ventes"),
    title="Checkout",
    titles={
        "INITIEE": "started", "PANIER_RECUPERE": "cart read", "STOCK_RESERVE": "goods reserved",
        "PAIEMENT_EFFECTUE": "paid", "COMMANDE_ENREGISTREE": "sale recorded", "CONFIRMEE": "confirmed",
        "ECHEC_PANIER": "no cart", "ECHEC_STOCK": "not enough goods", "ECHEC_PAIEMENT": "payment refused",
        "ECHEC_ENREGISTREMENT": "sale refused", "LIBERATION_STOCK": "releases the goods",
        "REMBOURSEMENT": "refunds the payment", "ANNULEE": "cancelled",
    },
    steps=(
        read("lire_panier", get("panier", "/{client_id}"), title="Read the cart",
             done="PANIER_RECUPERE", refused="ECHEC_PANIER"),
        compensatable("reserver_stock", post("stock", "/reserver", produits="lire_panier.produits"),
                      undo=post("stock", "/liberer", produits="lire_panier.produits"), undoing="LIBERATION_STOCK",
                      title="Reserve the goods",
                      done="STOCK_RESERVE", refused="ECHEC_STOCK"),
        compensatable("payer", post("client", "/{client_id}/payer", montant="lire_panier.montant"),
                      undo=post("client", "/{client_id}/rembourser", montant="lire_panier.montant"),
                      undoing="REMBOURSEMENT", title="Take the payment", amount=taken("lire_panier.montant", "EUR"),
                      done="PAIEMENT_EFFECTUE", refused="ECHEC_PAIEMENT"),
        pivot("enregistrer_vente",
              post("ventes", "/ventes", client_id="client_id", magasin_id="magasin_id",
                   produits="lire_panier.produits", montant="lire_panier.montant"),
              probe=get("ventes", "/ventes/outcome"), title="Record the sale",
              done="COMMANDE_ENREGISTREE", refused="ECHEC_ENREGISTREMENT"),
        retriable("confirmer", post("stock", "/confirmer", reservation_id="reserver_stock.reservation_id"),
                  title="Confirm the goods", done="CONFIRMEE"),
    ),
)  # fmt: skip
