"""The HTTP clients of the demo: for the orchestrator, and for the participants with their balances and faults."""

from decimal import Decimal
from typing import Any

import requests

TIMEOUT_S = 30.0
NAMES = ("panier", "stock", "client", "ventes")


class Service:
    """An HTTP client for one base URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False  # never use a proxy for loopback

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(method, self.url + path, timeout=TIMEOUT_S, **options)

    def read(self, path: str) -> Any:
        """Return the JSON of a successful response, with amounts as decimals. Raise requests.HTTPError."""
        response = self.call("GET", path)
        response.raise_for_status()
        return response.json(parse_float=Decimal)


class Orchestrator(Service):
    CHECKOUT = "/api/commande/checkout"

    def checkout(self, client_id: int, key: str, *, wait: bool = True) -> requests.Response:
        """Start an order, or repeat the request that started the order of this key."""
        headers = {"Idempotency-Key": key} if wait else {"Idempotency-Key": key, "Prefer": "respond-async"}
        body = {"client_id": client_id, "magasin_id": 1}
        return self.call("POST", self.CHECKOUT, json=body, headers=headers)

    def states(self, order: str) -> list[str]:
        """Return the states that the order at this path has entered, the oldest first."""
        return [entry["etat"] for entry in self.read(f"{order}/historique")]


class Participants(Service):
    def slow_down(self, seconds: float) -> None:
        """Make each call take this many seconds, so that the states can be watched."""
        fault = {"kind": "slow", "seconds": seconds, "times": None}
        for name in NAMES:
            self.call("POST", f"/{name}/_faults", json=fault).raise_for_status()

    def speed_up(self) -> None:
        for name in NAMES:
            self.call("DELETE", f"/{name}/_faults").raise_for_status()

    def balance(self, name: str) -> dict[str, Any]:
        return dict(self.read(f"/{name}/_balance"))
