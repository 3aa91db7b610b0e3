"""The HTTP client of the other participants: their products, their books, and their ordered faults."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from participants.ecommerce.basket import Line, Product
from participants.ecommerce.http_client import AwayError, HttpClient
from participants.payloads import on_the_wire, whole_cents


@dataclass(frozen=True, kw_only=True)
class Units:
    on_hand: int
    reserved: int
    sold: int
    agree: bool


@dataclass(frozen=True, kw_only=True)
class Books:
    """The totals of the participants' tables. All amounts are in cents."""

    units: dict[str, Units]  # by product
    paid: int  # sum of the clients' payments
    paid_back: int  # sum of the refunds and credits
    sold: int  # sum of the sales and receipts
    sales: int  # number of sales

    @property
    def units_agree(self) -> bool:
        return all(units.agree for units in self.units.values())

    @property
    def money_agrees(self) -> bool:
        return self.paid - self.paid_back == self.sold


class OtherParticipants:
    """The other participants below one base URL. Each method can raise AwayError or DeniedError."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self._http = HttpClient("A participant", url, api_key, "PARTICIPANTS_API_KEY")

    def shelf(self) -> list[Product]:
        """Return the products of the shop: only those with a numeric id, because a return needs one."""
        on_hand = {name: units.on_hand for name, units in self._units().items()}
        return [
            Product(product_id=it["produit_id"], name=it["nom"], price=whole_cents(it["prix"]), on_hand=there)
            for it in self._http.read("/catalogue/produits")["produits"]
            if it["produit_id"].isdecimal() and (there := on_hand.get(it["produit_id"])) is not None
        ]

    def fill_cart(self, client_id: int, lines: list[Line], order: str) -> None:
        """Fill the client's cart for an order. order: its idempotency key, by which `empty_cart` knows the cart."""
        body = {
            "commande": order,
            "produits": [
                {"produit_id": line.product_id, "quantite": line.quantity, "prix": on_the_wire(line.price)}
                for line in lines
            ],
        }
        response = self._http.send("PUT", f"/panier/{client_id}", json=body)
        if not response.ok:
            raise AwayError(f"the cart answered {response.status_code}")

    def empty_cart(self, client_id: int, order: str) -> None:
        """Empty the client's cart, unless it has been filled again for another order."""
        response = self._http.send("DELETE", f"/panier/{client_id}", params={"commande": order})
        if not response.ok:
            raise AwayError(f"the cart answered {response.status_code}")

    def books(self) -> Books:
        client, ventes, recus = (self._http.read(f"/{name}/_balance") for name in ("client", "ventes", "recus"))
        return Books(
            units=self._units(),
            paid=whole_cents(client["debits"]),
            paid_back=whole_cents(client["remboursements"]),
            sold=whole_cents(ventes["total"]) + whole_cents(recus["total"]),
            sales=ventes["count"],
        )

    def ledger(self, name: str, saga_id: UUID) -> list[dict[str, Any]]:
        """Return the ledger of a participant for this saga."""
        return list(self._http.read(f"/{name}/_ledger", params={"saga_id": str(saga_id)}))

    def faults(self, name: str) -> list[dict[str, Any]] | None:
        """Return the ordered faults; None when the participant takes no orders for faults."""
        response = self._http.send("GET", f"/{name}/_faults")
        return None if response.status_code == HTTPStatus.NOT_FOUND else list(response.json())

    def order_faults(self, name: str, *faults: Mapping[str, Any]) -> None:
        """Replace all faults of a participant by these; a call gets the first one that fits."""
        self._http.send("DELETE", f"/{name}/_faults")
        for fault in faults:
            response = self._http.send("POST", f"/{name}/_faults", json=fault)
            if not response.ok:
                raise AwayError(f"{name} takes no such fault: {response.text}")

    def money_of(self, client_id: int) -> int:
        """Return the client's balance in cents."""
        return whole_cents(self._http.read(f"/client/{client_id}")["solde"])

    def close(self) -> None:
        self._http.close()

    def _units(self) -> dict[str, Units]:
        return {
            name: Units(
                on_hand=it["en_main"],
                reserved=it["reserve"],
                sold=it["vendu"],
                agree=it["initial"] == it["en_main"] + it["reserve"] + it["vendu"],
            )
            for name, it in self._http.read("/stock/_balance")["produits"].items()
        }
