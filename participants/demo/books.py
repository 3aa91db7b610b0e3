"""The participants' books. They must agree with each other after any outcome of the orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from participants.demo.services import Participants


@dataclass(frozen=True, kw_only=True)
class Product:
    initial: int
    on_hand: int
    reserved: int
    sold: int

    @property
    def balanced(self) -> bool:
        return self.initial == self.on_hand + self.reserved + self.sold


@dataclass(frozen=True, kw_only=True)
class Books:
    products: Mapping[str, Product]
    debits: Decimal
    refunds: Decimal
    sales: Decimal
    sale_count: int

    def complaints(self, confirmed: int) -> list[str]:
        """Return a line for each disagreement. Call this only when no order is open.

        confirmed: number of confirmed orders.
        """
        wrong = [
            f"product {name}: initial {it.initial} ≠ on hand {it.on_hand} + reserved {it.reserved} + sold {it.sold}"
            for name, it in self.products.items()
            if not it.balanced
        ]
        wrong += [f"product {name}: {it.reserved} still reserved" for name, it in self.products.items() if it.reserved]
        if self.debits - self.refunds != self.sales:
            wrong.append(f"debits {self.debits} - refunds {self.refunds} ≠ sales {self.sales}")
        if self.sale_count != confirmed:
            wrong.append(f"{self.sale_count} sales recorded for {confirmed} confirmed orders")
        return wrong


def read_books(participants: Participants) -> Books:
    stock, client, ventes = (participants.balance(name) for name in ("stock", "client", "ventes"))
    products = {
        name: Product(initial=it["initial"], on_hand=it["en_main"], reserved=it["reserve"], sold=it["vendu"])
        for name, it in stock["produits"].items()
    }
    return Books(
        products=products,
        debits=Decimal(client["debits"]),
        refunds=Decimal(client["remboursements"]),
        sales=Decimal(ventes["total"]),
        sale_count=ventes["count"],
    )
