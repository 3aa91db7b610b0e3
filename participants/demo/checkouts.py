"""The four checkouts of the demo: the client, the expected states, and the actual states."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

from participants.demo.processes import StoppableClock
from participants.demo.services import Orchestrator

COMPLETED, COMPENSATED = "CONFIRMEE", "ANNULEE"
#: Prefix of the states in which a saga waits for an operator.
STUCK = "STUCK_"
POLL_S = 0.05
#: Maximum duration of one order in seconds.
MAX_ORDER_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A checkout with its expected result.

    states: the states that the order must enter, from the first to the last.
    status: the HTTP status that the client must get.
    """

    client_id: int
    title: str
    states: tuple[str, ...]
    status: int


CHECKOUTS = (
    Checkout(
        client_id=4,
        title="buys; all goes well",
        states=(
            "INITIEE", "PANIER_RECUPERE", "STOCK_RESERVE", "PAIEMENT_EFFECTUE", "COMMANDE_ENREGISTREE", "CONFIRMEE",
        ),
        status=201,
    ),
    Checkout(
        client_id=1,
        title="wants 5 of a product; there are 3",
        states=("INITIEE", "PANIER_RECUPERE", "ECHEC_STOCK", "ANNULEE"),
        status=409,
    ),
    Checkout(
        client_id=2,
        title="has too little money; the stock is released",
        states=("INITIEE", "PANIER_RECUPERE", "STOCK_RESERVE", "ECHEC_PAIEMENT", "LIBERATION_STOCK", "ANNULEE"),
        status=409,
    ),
    Checkout(
        client_id=3,
        title="may not buy; the money goes back, the stock is released",
        states=(
            "INITIEE", "PANIER_RECUPERE", "STOCK_RESERVE", "PAIEMENT_EFFECTUE",
            "ECHEC_ENREGISTREMENT", "REMBOURSEMENT", "LIBERATION_STOCK", "ANNULEE",
        ),
        status=409,
    ),
)  # fmt: skip


class Order:
    """One checkout under way."""

    def __init__(self, orchestrator: Orchestrator, checkout: Checkout) -> None:
        self._orchestrator, self._checkout = orchestrator, checkout
        self._key = str(uuid4())
        self.states: list[str] = []
        self.status = 0
        self.path = ""

    def follow(self, clock: StoppableClock) -> Iterator[str]:
        """Start the order and yield each state soon after the order enters it, until the order ends."""
        started = self._orchestrator.checkout(self._checkout.client_id, self._key, wait=False)
        started.raise_for_status()
        self.path = started.headers["Location"]
        deadline = time.monotonic() + MAX_ORDER_S
        while time.monotonic() < deadline:
            for state in self._orchestrator.states(self.path)[len(self.states) :]:
                self.states.append(state)
                yield state
            if self.ended:
                # The same request with the same key returns the final answer of the same order.
                self.status = self._orchestrator.checkout(self._checkout.client_id, self._key).status_code
                return
            clock.sleep(POLL_S)

    @property
    def ended(self) -> bool:
        last = self.states[-1] if self.states else ""
        return last in (COMPLETED, COMPENSATED) or last.startswith(STUCK)

    @property
    def confirmed(self) -> bool:
        return COMPLETED in self.states

    @property
    def complaint(self) -> str:
        """The difference from the expected result in one line; empty when there is none."""
        if tuple(self.states) != self._checkout.states:
            return f"expected {' '.join(self._checkout.states)}, got {' '.join(self.states) or 'nothing'}"
        if self.status != self._checkout.status:
            return f"expected the answer {self._checkout.status}, got {self.status}"
        return ""
