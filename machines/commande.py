"""An order through the gateway: check the stock, look up and reserve the goods, and create the order."""

from machines.call import get, post
from machines.fields import integer, list_of, uuid
from machines.saga import Saga
from machines.step import compensatable, pivot, read, retriable

DEFAULT_SHOP = "550e8400-e29b-41d4-a716-446655440000"

COMMANDE = Saga(
    name="commande", version=1, initial="EN_ATTENTE", completed="SAGA_TERMINEE", compensated="SAGA_ANNULEE",
    data={
        "client_id": uuid(),
        "magasin_id": uuid(default=DEFAULT_SHOP, example=DEFAULT_SHOP),
        "lignes": list_of({"produit_id": uuid(example="550e8400-e29b-41d4-a716-446655440001"),
                           "quantite": integer(low=1, high=1_000_000)}),
    },
    client="client_id", store="magasin_id", order="creer_commande.commande_id",
    participants=("stock", "catalogue", "commandes"),
    title="Order through the gateway",
    titles={
        "EN_ATTENTE": "waiting", "VERIFICATION_STOCK": "checks the stock", "STOCK_VERIFIE": "stock checked",
        "ECHEC_STOCK_INSUFFISANT": "not enough goods", "PRODUITS_LUS": "goods looked up",
        "ECHEC_PRODUIT": "unknown goods", "RESERVATION_STOCK": "reserves the goods", "STOCK_RESERVE": "goods reserved",
        "ECHEC_RESERVATION_STOCK": "reservation refused", "COMPENSATION_EN_COURS": "releases the goods",
        "CREATION_COMMANDE": "creates the order", "COMMANDE_CREEE": "order created",
        "ECHEC_CREATION_COMMANDE": "order refused", "SAGA_TERMINEE": "completed", "SAGA_ANNULEE": "cancelled",
    },
    steps=(
        read("verifier_stock", post("stock", "/disponibilite", produits="lignes"), title="Check the stock",
             doing="VERIFICATION_STOCK", done="STOCK_VERIFIE", refused="ECHEC_STOCK_INSUFFISANT"),
        read("lire_produits", post("catalogue", "/produits/consulter", produits="lignes"), title="Look up the goods",
             done="PRODUITS_LUS", refused="ECHEC_PRODUIT"),
        compensatable("reserver_stock", post("stock", "/reserver", produits="lire_produits.produits"),
                      undo=post("stock", "/liberer"), undoing="COMPENSATION_EN_COURS", title="Reserve the goods",
                      doing="RESERVATION_STOCK", done="STOCK_RESERVE", refused="ECHEC_RESERVATION_STOCK"),
        pivot("creer_commande",
              post("commandes", "/commandes", client_id="client_id", magasin_id="magasin_id",
                   produits="lire_produits.produits", montant="lire_produits.montant"),
              probe=get("commandes", "/commandes/outcome"), title="Create the order",
              doing="CREATION_COMMANDE", done="COMMANDE_CREEE", refused="ECHEC_CREATION_COMMANDE"),
        retriable("confirmer_stock", post("stock", "/confirmer", reservation_id="reserver_stock.reservation_id"),
                  title="Confirm the goods", done="SAGA_TERMINEE"),
    ),
)  # fmt: skip
