"""Whether goods of a sale can be brought back. All amounts are in cents."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from participants.barrier import Refused
from participants.wire import on_the_wire, per_product

Lines = Iterable[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Sold:
    """What was sold, and what has come back of it: goods and money."""

    vente_id: str
    produits: list[dict[str, Any]]
    montant: int
    returned: list[dict[str, Any]]
    refunded: int

    def require_returnable(self, brought: list[dict[str, Any]], montant: int) -> None:
        left = dict(per_product(self.produits))
        for produit_id, quantite in per_product(self.returned):
            left[produit_id] -= quantite
        for produit_id, quantite in per_product(brought):
            if produit_id not in left:
                detail = f"Product {produit_id} is not in sale {self.vente_id}"
                raise Refused(409, "Not in the sale", detail, produit_id=produit_id)
            if quantite > left[produit_id]:
                detail = f"Product {produit_id}: {quantite} brought back, {left[produit_id]} left of the sale"
                extra = {"produit_id": produit_id, "demande": quantite, "disponible": left[produit_id]}
                raise Refused(409, "More than was sold", detail, **extra)
        most = min(self._cost(brought), self.montant - self.refunded)
        if montant > most:
            detail = f"{on_the_wire(montant):.2f} asked for goods worth {on_the_wire(most):.2f} at most"
            raise Refused(409, "Too much money", detail, maximum=on_the_wire(most))

    def _cost(self, brought: Lines) -> int:
        """Of a product sold at several prices, the highest counts; the sale's own amount bounds the whole."""
        prices: dict[str, int] = {}
        for line in self.produits:
            prices[line["produit_id"]] = max(line["prix"], prices.get(line["produit_id"], 0))
        return sum(prices[produit_id] * quantite for produit_id, quantite in per_product(brought))
