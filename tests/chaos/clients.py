"""Clients that retry correctly. Each order has one key.

A client that gets no answer repeats its request with the same key, at a random replica.
"""

import queue
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import requests

from tests.chaos.orders import SAGAS, Order, return_of

ASKED_AGAIN = {408, 425, 429, 500, 502, 503, 504}
FINISHED = {"completed", "compensated"}
PATIENCE_S = 60.0


class Client:
    """A client that sends each request to a random replica."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._session = requests.Session()
        self._session.trust_env = False
        #: The saga ids that the client received for each key.
        self.promised: dict[str, set[str]] = defaultdict(set)
        #: How often the client received each status code.
        self.statuses: Counter[int] = Counter()

    def place(self, order: Order) -> None:
        key, prefer = {"Idempotency-Key": order.key}, {"Prefer": order.prefer}
        # A request that only creates a saga runs nothing, so it has no header Prefer.
        said = self.ask("POST", order.path, order.body, key if order.path == SAGAS else key | prefer)
        saga_id = said.get("saga_id") or said["saga"]["id"]
        self.promised[order.key].add(saga_id)
        if order.path == SAGAS and "saga" in said:
            self.ask("POST", f"{SAGAS}/{saga_id}/execute", None, prefer)
        if order.brings_back and (sale_id := self._sale(saga_id)):
            self.place(return_of(order, sale_id))

    def ask(self, method: str, path: str, body: Any = None, headers: Any = None) -> dict[str, Any]:
        """Repeat the request until there is an answer. Return its JSON. A refusal (409) is an answer."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            url = random.choice(self._urls) + path
            try:
                answer = self._session.request(method, url, json=body, headers=headers, timeout=(1, 7))
                self.statuses[answer.status_code] += 1
                if answer.status_code not in ASKED_AGAIN:
                    assert answer.ok or answer.status_code == 409, f"{method} {path}: {answer.text}"
                    return answer.json()
            except requests.RequestException:
                pass
            time.sleep(random.uniform(0.05, 0.3))
        raise TimeoutError(f"{method} {path} was never answered")

    def _sale(self, saga_id: str) -> str | None:
        """Wait until the purchase has ended. Return the id of its sale (a return must name it), or None."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            saga = self.ask("GET", f"{SAGAS}/{saga_id}")
            if saga["status"] in FINISHED:
                sale = next(step for step in saga["steps"] if step["type"] == "CREATE_SALE")
                return sale["output_data"]["vente_id"] if saga["status"] == "completed" else None
            time.sleep(0.2)
        return None


class Clients:
    """Many clients at once, which take their orders from one queue."""

    def __init__(self, urls: Sequence[str], number: int) -> None:
        self._queue: queue.Queue[Order | None] = queue.Queue()
        self._clients = [Client(urls) for _ in range(number)]
        self._threads = [threading.Thread(target=self._serve, args=(one,), daemon=True) for one in self._clients]
        #: Errors of clients. A correct run has none.
        self.troubles: list[str] = []
        for thread in self._threads:
            thread.start()

    def give(self, orders: Iterable[Order]) -> None:
        for order in orders:
            self._queue.put(order)

    def finish(self) -> None:
        """Wait until every order has been answered."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def promised(self) -> dict[str, set[str]]:
        ids: dict[str, set[str]] = defaultdict(set)
        for client in self._clients:
            for key, promised in client.promised.items():
                ids[key] |= promised
        return ids

    @property
    def statuses(self) -> Counter[int]:
        return sum((client.statuses for client in self._clients), Counter())

    def _serve(self, client: Client) -> None:
        while (order := self._queue.get()) is not None:
            if self.troubles:  # the run has failed already, so the remaining orders are not placed
                continue
            try:
                client.place(order)
            except Exception as error:  # noqa: BLE001  each error is added to `troubles`
                self.troubles.append(f"{order.key}: {type(error).__name__}: {error}")
