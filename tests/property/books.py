"""The state machine of the demo's books.

Customers buy and return goods, operators compensate, retry and resolve. Purchases and returns run with their real
tables on the real participants. Another person's operation can also happen during a saga, just before one of its calls.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.errors import ConflictError, InvalidError
from tests.integration.engine.scene import Scene
from tests.property.market import Fault, Market

PRICES = {101: Decimal("49.90"), 102: Decimal("24.50"), 789: Decimal("12.50")}
#: The first balance of each customer's account. Customer 2 has so little money that a refund may be spent before the
#: refund is undone.
OPENING = {4: Decimal(1_000_000), 5: Decimal(1_000_000), 2: Decimal(10)}

WHICH = st.integers(0, 5)
FAULTS = st.lists(st.sampled_from([Fault.NONE, Fault.NONE, *Fault]), max_size=8)
LINES = st.dictionaries(st.sampled_from(list(PRICES)), st.integers(1, 3), min_size=1, max_size=2)
#: For each of the next calls, the operation of another person just before the call, or None. An operation names a saga.
MEANWHILE = st.lists(st.none() | st.tuples(st.sampled_from(["compensate", "bring_back", "deliver"]), WHICH), max_size=6)


@dataclass
class Order:
    """A purchase or a return."""

    saga_id: UUID
    customer: int
    lines: dict[int, int]
    amount: Decimal
    #: For a return, the purchase whose goods are returned.
    purchase: "Order | None" = None


class Books(RuleBasedStateMachine):
    """Check after each rule that each book is consistent. When all sagas are at rest, check that all books agree."""

    def __init__(self, market: Market, scene: Scene) -> None:
        super().__init__()
        self._market, self._scene = market, scene
        self._scene.send = market.send
        self._orders: list[Order] = []
        self._trusted = True

    @initialize(lines=LINES)
    def begin(self, lines: dict[int, int]) -> None:
        self._market.empty()
        self.buy(4, lines, 0, [], [])

    @rule(
        customer=st.sampled_from(list(OPENING)), lines=LINES, wrong=st.sampled_from([0, 0, 0, 1, -1]), faults=FAULTS,
        meanwhile=MEANWHILE,
    )  # fmt: skip
    def buy(self, customer: int, lines: dict[int, int], wrong: int, faults: list[Fault], meanwhile: list[Any]) -> None:
        amount = sum((PRICES[product] * quantity for product, quantity in lines.items()), Decimal(0))
        items = [
            {"product_id": product, "quantity": quantity, "price": float(PRICES[product])}
            for product, quantity in lines.items()
        ]
        asked = max(amount + wrong * Decimal("10.00"), Decimal(0))
        data = {
            "store_id": 1,
            "customer_id": customer,
            "items": items,
            "payment_method": "card",
            "amount": float(asked),
        }
        order = self._start("purchase_saga", data, Order(UUID(int=0), customer, lines, amount), faults, meanwhile)
        if asked != amount:
            assert self._status(order) == "compensated", f"{asked} was believed for goods that cost {amount}"
            assert not self._market.read("client", f"/_ledger?saga_id={order.saga_id}"), "money moved at a wrong amount"

    @precondition(lambda self: self._sales())
    @rule(which=WHICH, all_of_it=st.booleans(), whole_price=st.booleans(), faults=FAULTS, meanwhile=MEANWHILE)
    def bring_back(
        self, which: int, all_of_it: bool, whole_price: bool, faults: list[Fault], meanwhile: list[Any]
    ) -> None:
        sales = self._sales()
        purchase, sale_id = sales[which % len(sales)]
        lines = purchase.lines if all_of_it else {next(iter(purchase.lines)): 1}
        worth = sum((PRICES[product] * quantity for product, quantity in lines.items()), Decimal(0))
        amount = worth if whole_price else worth - Decimal("1.01")
        items = [{"product_id": product, "quantity": n, "reason": "broken"} for product, n in lines.items()]
        data = {"sale_id": sale_id, "customer_id": purchase.customer, "items": items, "refund_amount": float(amount)}
        self._start(
            "return_saga", data, Order(UUID(int=0), purchase.customer, lines, amount, purchase), faults, meanwhile
        )

    @rule(which=WHICH, faults=FAULTS, meanwhile=MEANWHILE)
    def compensate(self, which: int, faults: list[Fault], meanwhile: list[Any]) -> None:
        self._operate(self._scene.service.compensate, which, faults, meanwhile)

    @precondition(lambda self: self._stuck())
    @rule(which=WHICH, faults=FAULTS, meanwhile=MEANWHILE)
    def retry(self, which: int, faults: list[Fault], meanwhile: list[Any]) -> None:
        stuck = self._stuck()
        self._operate(self._scene.service.retry, self._orders.index(stuck[which % len(stuck)]), faults, meanwhile)

    @precondition(lambda self: self._stuck())
    @rule(which=WHICH, true=st.sampled_from([True, True, True, False]))
    def resolve(self, which: int, true: bool) -> None:
        """Resolve a saga with the claim that its step was done by hand.

        With `true`, the operator really does the step first. If the participant refuses the step, the saga is not
        resolved.
        """
        stuck = self._stuck()
        order = stuck[which % len(stuck)]
        request = next(it for it in reversed(self._market.sent) if it.headers["Saga-Id"] == str(order.saga_id))
        reply = self._market.deliver(request) if true else None
        if reply is not None and reply.status not in (200, 201):
            return
        self._trusted = self._trusted and true
        body = {"vente_id": "x", "reservation_id": "x", "achat": "x", "retour_id": "x"} if reply is None else reply.body
        with suppress(ConflictError, InvalidError):
            self._scene.service.resolve(order.saga_id, "operator", "by hand", body, 1000.0)

    @rule(which=WHICH)
    def deliver(self, which: int) -> None:
        if self._market.late:
            self._market.deliver(self._market.late.pop(which % len(self._market.late)))

    @invariant()
    def no_unit_comes_or_goes(self) -> None:
        for product, units in self._units().items():
            assert units["initial"] == units["en_main"] + units["reserve"] + units["vendu"], f"{product}: {units}"
            assert min(units.values()) >= 0, f"{product}: {units}"

    @invariant()
    def nobody_gets_back_more_than_was_paid(self) -> None:
        for customer, opening in OPENING.items():
            assert self._balance(customer) <= opening, f"customer {customer} was given money"
        actions = [row for row in self._market.read("client", "/_ledger") if row["direction"] == "do" and row["reply"]]
        paid, given = Counter[str](), Counter[str]()
        for row in actions:
            cents = round(row["reply"].get("montant", 0) * 100)
            if "paiement_id" in row["reply"]:
                paid[row["saga_id"]] += cents
            elif "credit_id" in row["reply"] and row["state"] == "done":
                given[row["request"]["achat"]] += cents
        for purchase, cents in given.items():
            assert cents <= paid[purchase], f"{cents} were given for purchase {purchase}"

    @invariant()
    def a_return_that_was_announced_is_not_refused_after_it_was_paid(self) -> None:
        refused = [it for it in self._market.refused if it[0] in ("remettre", "enregistrer") and it[1] != 410]
        assert not (self._trusted and refused), f"paid, and then refused: {refused}"

    @invariant()
    def at_rest_all_books_say_the_same(self) -> None:
        if not self._trusted or self._stuck() or not self._orders:
            return
        purchases = [order for order in self._orders if not order.purchase and self._status(order) == "completed"]
        returns = [
            order
            for order in self._orders
            if order.purchase in purchases and self._status(order) == "completed"
        ]  # fmt: skip
        sold: Counter[int] = Counter()
        for order, sign in [*((it, 1) for it in purchases), *((it, -1) for it in returns)]:
            for product, quantity in order.lines.items():
                sold[product] += sign * quantity
        units = self._units()
        assert {p: (units[str(p)]["reserve"], units[str(p)]["vendu"]) for p in PRICES} == {
            p: (0, sold[p]) for p in PRICES
        }
        for customer, opening in OPENING.items():
            kept = sum((it.amount for it in purchases if it.customer == customer), Decimal(0))
            kept -= sum((it.amount for it in returns if it.customer == customer), Decimal(0))
            assert opening - self._balance(customer) == kept, f"customer {customer} pays {kept}"
        books = self._market.read("client", "/_balance")
        value = Decimal(str(self._market.read("ventes", "/_balance")["total"]))
        assert Decimal(str(books["debits"])) - Decimal(str(books["remboursements"])) == value

    def _start(self, name: str, data: dict[str, Any], order: Order, faults: list[Fault], meanwhile: list[Any]) -> Order:
        self._schedule(faults, meanwhile)
        order.saga_id = self._scene.service.create(name, data).id
        self._orders.append(order)
        self._scene.service.execute(order.saga_id, 1000.0)
        self._schedule([], [])
        return order

    def _operate(self, move: Callable[..., object], which: int, faults: list[Fault], meanwhile: list[Any]) -> None:
        self._schedule(faults, meanwhile)
        with suppress(ConflictError):
            move(self._orders[which % len(self._orders)].saga_id, "operator", "drawn", 1000.0)
        self._schedule([], [])

    def _schedule(self, faults: list[Fault], meanwhile: list[Any]) -> None:
        self._market.faults.clear()
        self._market.faults.extend(faults)
        self._market.interruptions.clear()
        self._market.interruptions.extend(
            None if it is None else lambda it=it: self._meanwhile(*it) for it in meanwhile
        )

    def _meanwhile(self, what: str, which: int) -> None:
        """Let another person do the operation `what` without faults. Then restore the drawn faults and operations."""
        market = self._market
        kept = (list(market.faults), list(market.interruptions))
        if what == "deliver":
            self.deliver(which)
        elif what == "compensate":
            self.compensate(which, [], [])
        elif self._sales():
            self.bring_back(which, all_of_it=False, whole_price=True, faults=[], meanwhile=[])
        market.faults.extend(kept[0])
        market.interruptions.extend(kept[1])

    def _status(self, order: Order) -> str:
        row = self._scene.engine.store.find(order.saga_id)
        assert row is not None
        return str(row.status)

    def _stuck(self) -> list[Order]:
        return [order for order in self._orders if self._status(order) not in ("completed", "compensated")]

    def _sales(self) -> list[tuple[Order, str]]:
        """Return the purchases that have a sale. A sale that was cancelled counts, too."""
        found = []
        for order in self._orders:
            rows = self._market.read("ventes", f"/_ledger?saga_id={order.saga_id}") if not order.purchase else []
            found += [(order, row["reply"]["vente_id"]) for row in rows if "vente_id" in (row["reply"] or {})][:1]
        return found

    def _units(self) -> dict[str, dict[str, int]]:
        return dict(self._market.read("stock", "/_balance")["produits"])

    def _balance(self, customer: int) -> Decimal:
        return Decimal(str(self._market.read("client", f"/{customer}")["solde"]))
