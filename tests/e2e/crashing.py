"""A complete run of every saga, and the boundaries between its stages. A test kills the process at each boundary."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from machines.discovery import discover
from machines.step import Kind

LINES = [{"produit_id": "456", "quantite": 1}]
PURCHASE = {
    "store_id": 1, "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
    "payment_method": "credit_card", "amount": 59.98,
}  # fmt: skip
CLOSED_SHOP = "550e8400-e29b-41d4-a716-446655440099"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One complete run of a saga without a crash."""

    saga: str
    data: dict[str, Any] = field(hash=False)
    #: The final state of the saga.
    end: str
    #: The number of commits.
    commits: int
    #: The number of calls sent.
    sends: int
    #: The final state of each action at its participant, by the name of its step.
    effects: dict[str, str] = field(hash=False)

    def __str__(self) -> str:
        return f"{self.saga}-{self.end}-{self.sends}"

    @property
    def leading_reads(self) -> int:
        kinds = [step.kind for step in discover().latest(self.saga).steps]
        return next(number for number, kind in enumerate(kinds) if kind is not Kind.READ)

    def promised(self, place: str, number: int) -> bool:
        """Return True when a crash at this place leaves a stored saga: the place is after the first commit."""
        return number > self.leading_reads if place.endswith("send") else (place, number) != ("before_commit", 1)

    def stands(self, place: str, number: int) -> str:
        """Return the state in which the saga ends after a crash at this place.

        The saga ends as without a crash. If the crash leaves a refused pivot in doubt, the saga is stuck instead (ADR
        23). The pivot is in doubt from the commit of its intent until the commit of its outcome.
        """
        steps = discover().latest(self.saga).steps
        for count, step in enumerate(steps, 1):
            if step.kind is Kind.PIVOT and self.effects.get(step.name) == "refused":
                intent = sum(before.kind is not Kind.READ for before in steps[:count])
                doubted = {
                    "after_commit": intent,
                    "before_send": count,
                    "after_send": count,
                    "before_commit": intent + 1,
                }
                if doubted[place] == number:
                    return f"STUCK_{step.name.upper()}"
        return self.end

    def boundaries(self) -> Iterator[tuple["Run", str, int]]:
        for what, count in (("commit", self.commits), ("send", self.sends)):
            for number in range(1, count + 1):
                yield from ((self, f"{when}_{what}", number) for when in ("before", "after"))


def _all(state: str, *steps: str) -> dict[str, str]:
    return dict.fromkeys(steps, state)


def _checkout(client_id: int, end: str, count: int, effects: dict[str, str]) -> Run:
    data = {"client_id": client_id, "magasin_id": 1}
    return Run(saga="checkout", data=data, end=end, commits=count, sends=count, effects=effects)


RUNS = [
    _checkout(4, "CONFIRMEE", 5, _all("done", "reserver_stock", "payer", "enregistrer_vente", "confirmer")),
    _checkout(3, "ANNULEE", 6, {**_all("undone", "reserver_stock", "payer"), "enregistrer_vente": "refused"}),
    _checkout(2, "ANNULEE", 4, {"reserver_stock": "undone", "payer": "refused"}),
    Run(
        saga="commande", data={"client_id": "c", "magasin_id": "m", "lignes": LINES}, end="SAGA_TERMINEE",
        commits=4, sends=5, effects=_all("done", "reserver_stock", "creer_commande", "confirmer_stock"),
    ),
    Run(
        saga="commande", data={"client_id": "c", "magasin_id": CLOSED_SHOP, "lignes": LINES}, end="SAGA_ANNULEE",
        commits=4, sends=5, effects={"reserver_stock": "undone", "creer_commande": "refused"},
    ),
    Run(
        saga="purchase_saga", data={**PURCHASE, "customer_id": 123}, end="COMPLETED", commits=5, sends=5,
        effects=_all("done", "RESERVE_INVENTORY", "PROCESS_PAYMENT", "CREATE_SALE", "UPDATE_INVENTORY"),
    ),
    Run(
        saga="purchase_saga", data={**PURCHASE, "customer_id": 3}, end="COMPENSATED", commits=6, sends=6,
        effects={**_all("undone", "RESERVE_INVENTORY", "PROCESS_PAYMENT"), "CREATE_SALE": "refused"},
    ),
    Run(
        saga="return_saga", data={}, end="COMPLETED", commits=5, sends=4,
        effects=_all("done", "VALIDATE_RETURN", "PROCESS_REFUND", "RESTORE_INVENTORY", "UPDATE_SALE"),
    ),
    Run(
        saga="order_saga", data={"client_id": 4, "magasin_id": 1, "produits": LINES}, end="CommandeConfirm",
        commits=7, sends=7,
        effects=_all(
            "done", "creer_commande", "reserver_inventaire", "payer", "envoyer_recu", "vendre_inventaire",
            "confirmer_commande",
        ),
    ),
    Run(
        saga="order_saga", data={"client_id": 6600, "magasin_id": 1, "produits": LINES}, end="CommandeCancel",
        commits=8, sends=8,
        effects={**_all("undone", "creer_commande", "reserver_inventaire", "payer"), "envoyer_recu": "refused"},
    ),
]  # fmt: skip
BOUNDARIES = [boundary for run in RUNS for boundary in run.boundaries()]

#: Boundaries of a confirmed checkout that starts later: one commit for the start, then the five of any checkout.
LATER_START_BOUNDARIES = [
    f"{when}_{what}:{number}"
    for what, count in (("commit", 6), ("send", 5))
    for number in range(1, count + 1)
    for when in ("before", "after")
]
#: Boundaries of a schedule and its saga: the commit of the saga and the next time, then those of the saga's start.
SCHEDULE_BOUNDARIES = [f"{when}_commit:{number}" for number in (1, 2, 3) for when in ("before", "after")]
#: Every boundary of a saga with one call that is answered by a callback over HTTP: the commit before the call, the
#: call, the commit after the 202, the commit that stores the answer, and the commit of the end.
CALLBACK_BOUNDARIES = [
    ("before_commit", 1), ("after_commit", 1), ("before_send", 1), ("after_send", 1), ("before_commit", 2),
    ("after_commit", 2), ("before_arrival", 1), ("after_arrival", 1), ("before_commit", 3), ("after_commit", 3),
]  # fmt: skip
#: Boundaries around the write of several commits together, of sagas that run in one process at the same time.
BATCH_BOUNDARIES = [
    *((f"{when}_batch", number) for number in (1, 3) for when in ("before", "after")),
    *((f"{when}_inserts", 1) for when in ("before", "after")),
]
