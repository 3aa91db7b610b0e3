"""What each step does, in the words of a customer: (to do it, to undo it)."""

from collections.abc import Mapping

STEPS: Mapping[str, tuple[str, str]] = {
    "lire_panier": ("read the cart", ""),
    "reserver_stock": ("reserve the goods", "release the goods"),
    "payer": ("take the payment", "pay the money back"),
    "enregistrer_vente": ("record the sale", ""),
    "confirmer": ("hand over the goods", ""),
    "VALIDATE_RETURN": ("announce the return to the sale", "withdraw the return from the sale"),
    "PROCESS_REFUND": ("pay the money back", "take the money back again"),
    "RESTORE_INVENTORY": ("put the goods back on the shelf", "take the goods off the shelf again"),
    "UPDATE_SALE": ("note the return on the sale", "strike the return from the sale"),
}

#: What a ledger's row says of a call.
LEDGER: Mapping[str, str] = {
    "done": "done",
    "undone": "done, then undone",
    "refused": "refused, nothing changed",
    "tombstone": "undone before it came; if it still comes, it is refused",
}


def words(step: str, direction: str) -> str:
    do, undo = STEPS.get(step, (step, f"undo {step}"))
    return undo if direction == "undo" else do
