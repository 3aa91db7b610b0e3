"""Compare the participants' books with their ledgers: stock and payments must follow from the recorded effects.

A ledger proves that a call was answered once. Only the stock and the money prove that the call had its effect once.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.chaos.ledgers import Effect
from tests.chaos.oracle import Violation


def complaints(effects: Sequence[Effect], balances: Mapping[str, Any]) -> list[Violation]:
    stand = [effect for effect in effects if effect.stands]
    return [*_stock(stand, balances["stock"]["produits"]), *_totals(stand, balances)]


def _stock(stand: Sequence[Effect], products: Mapping[str, Any]) -> Iterator[Violation]:
    sold = _sold(stand)
    for name, it in products.items():
        if it["initial"] != it["en_main"] + it["reserve"] + it["vendu"]:
            yield Violation(text=f"product {name}: units have come or gone: {it}")
        if it["reserve"]:
            yield Violation(text=f"product {name}: {it['reserve']} reserved for nobody")
        if it["vendu"] != sold[name]:
            yield Violation(text=f"product {name}: {it['vendu']} sold, the ledger says {sold[name]}")


def _sold(stand: Sequence[Effect]) -> Counter[str]:
    """Return the quantity that was reserved and sold, less the quantity that was returned."""
    replies = [effect.reply or {} for effect in stand if effect.participant == "stock"]
    confirmed = {reply["reservation_id"] for reply in replies if reply.get("etat") == "vendue"}
    units: Counter[str] = Counter()
    for reply in replies:
        for line in reply.get("produits", ()):
            if "reservation_id" not in reply:
                units[line["produit_id"]] -= line["quantite"]
            elif reply["reservation_id"] in confirmed:
                units[line["produit_id"]] += line["quantite"]
    return units


def _totals(stand: Sequence[Effect], balances: Mapping[str, Any]) -> Iterator[Violation]:
    client, sales, receipts = balances["client"], balances["ventes"], balances["recus"]
    paid = _cents(client["debits"]) - _cents(client["remboursements"])
    agreeing = {
        "paid, by the ledger": (paid, _sum(stand, "paiement_id") - _sum(stand, "credit_id")),
        "paid, by sales and receipts": (paid, _cents(sales["total"]) + _cents(receipts["total"])),
        "sales": (sales["count"], _count(stand, "ventes", "vente_id") - _count(stand, "ventes", "retour_id")),
        "receipts": (receipts["count"], _count(stand, "recus", "recu_id")),
        "orders": (balances["commandes"]["creee"] + balances["commandes"]["confirmee"], _orders(stand, "creee")),
        "confirmed orders": (balances["commandes"]["confirmee"], _orders(stand, "confirmee")),
    }
    for name, (books, ledger) in agreeing.items():
        if books != ledger:
            yield Violation(text=f"{name}: the books say {books}, it should be {ledger}")


def _cents(amount: float) -> int:
    return round(amount * 100)


def _sum(stand: Sequence[Effect], reply_id: str) -> int:
    return sum(_cents(effect.reply["montant"]) for effect in stand if effect.reply and reply_id in effect.reply)


def _count(stand: Sequence[Effect], participant: str, reply_id: str) -> int:
    """Count the participant's effects whose reply contains the member `reply_id`, for example `vente_id` for sales."""
    return sum(effect.participant == participant and reply_id in (effect.reply or {}) for effect in stand)


def _orders(stand: Sequence[Effect], state: str) -> int:
    return sum(effect.participant == "commandes" and (effect.reply or {}).get("etat") == state for effect in stand)
