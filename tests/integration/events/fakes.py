"""The replies of an order's participants, and a fake publisher."""

from typing import Any

from kombu.exceptions import OperationalError

from tests.integration.engine.scene import answer

ORDERED = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 2}]}
ANSWERS = {
    "creer_commande": [answer(200, commande_id="c1")],
    "lire_produits": [answer(200, produits=[{"produit_id": "456", "quantite": 2, "prix": 1}], montant=2)],
    "reserver_inventaire": [answer(200, reservation_id="r1")],
}


class FakePublisher:
    """Keeps the published events. Publishing event number `broken_at` (from 1; 0 for none) fails each time."""

    def __init__(self, broken_at: int = 0) -> None:
        self.events: list[dict[str, Any]] = []
        self.broken_at = broken_at

    @property
    def names(self) -> list[str]:
        return [event["type"] for event in self.events]

    def publish(self, event: dict[str, Any]) -> None:
        if len(self.events) + 1 == self.broken_at:
            raise OperationalError("the broker is away")
        self.events.append(event)

    def close(self) -> None:
        pass
