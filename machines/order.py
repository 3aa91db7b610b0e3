"""An order with a receipt. A sent receipt cannot be called back, so sending it is the pivot."""

from machines.amounts import taken
from machines.call import get, post
from machines.fields import integer, list_of, text
from machines.saga import Saga
from machines.step import compensatable, pivot, read, retriable

ORDER = Saga(
    name="order_saga", version=1, initial="EnAttente", completed="CommandeConfirm", compensated="CommandeCancel",
    data={
        "client_id": integer(low=1, example=4),
        "magasin_id": integer(low=1),
        "produits": list_of({"produit_id": text(example="456"), "quantite": integer(low=1, high=1_000_000)}),
    },
    client="client_id", store="magasin_id", order="creer_commande.commande_id",
    started_by="CommandeCreate",
    events={state: state for state in (
        "CommandeCreate", "CommandeFail", "CommandeCancel", "CommandeConfirm", "ProduitExist", "ProduitNotFound",
        "InventaireReserve", "InventaireFail", "PaiementConfirm", "PaiementCancel", "TransactionFail",
    )} | {"TransactionGenerate": "TransactionConfirm"},
    participants=("commandes", "catalogue", "stock", "client", "recus"),
    title="Order with a receipt",
    titles={
        "EnAttente": "waiting", "CommandeCreate": "order created", "CommandeFail": "order refused",
        "CommandeConfirm": "confirmed", "CommandeCancel": "cancelled", "AnnulationCommande": "cancels the order",
        "ProduitExist": "goods found", "ProduitNotFound": "unknown goods", "InventaireReserve": "goods reserved",
        "InventaireFail": "not enough goods", "LiberationInventaire": "releases the goods", "PaiementConfirm": "paid",
        "PaiementCancel": "payment refused", "RemboursementPaiement": "refunds the payment",
        "TransactionGenerate": "receipt sent", "TransactionFail": "receipt refused", "InventaireVendu": "goods sold",
    },
    steps=(
        compensatable("creer_commande",
                      post("commandes", "/commandes", client_id="client_id", magasin_id="magasin_id",
                           produits="produits"),
                      undo=post("commandes", "/commandes/annuler"), undoing="AnnulationCommande",
                      title="Create the order",
                      done="CommandeCreate", refused="CommandeFail"),
        read("lire_produits", post("catalogue", "/produits/consulter", produits="produits"), title="Look up the goods",
             done="ProduitExist", refused="ProduitNotFound"),
        compensatable("reserver_inventaire", post("stock", "/reserver", produits="lire_produits.produits"),
                      undo=post("stock", "/liberer"), undoing="LiberationInventaire", title="Reserve the goods",
                      done="InventaireReserve", refused="InventaireFail"),
        compensatable("payer", post("client", "/{client_id}/payer", montant="lire_produits.montant"),
                      undo=post("client", "/{client_id}/rembourser"), undoing="RemboursementPaiement",
                      title="Take the payment", amount=taken("lire_produits.montant", "EUR"),
                      done="PaiementConfirm", refused="PaiementCancel"),
        pivot("envoyer_recu",
              post("recus", "/recus", commande_id="creer_commande.commande_id", client_id="client_id",
                   produits="lire_produits.produits", montant="lire_produits.montant"),
              probe=get("recus", "/recus/outcome"), title="Send the receipt",
              done="TransactionGenerate", refused="TransactionFail"),
        retriable("vendre_inventaire",
                  post("stock", "/confirmer", reservation_id="reserver_inventaire.reservation_id"),
                  title="Sell the goods", done="InventaireVendu"),
        retriable("confirmer_commande",
                  post("commandes", "/commandes/confirmer", commande_id="creer_commande.commande_id"),
                  title="Confirm the order", done="CommandeConfirm"),
    ),
)  # fmt: skip
