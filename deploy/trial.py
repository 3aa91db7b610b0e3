"""Load on a running stack, and its books afterwards: `python deploy/trial.py SERVICE PARTICIPANTS`.

    SERVICE        where the orchestrators are, such as http://localhost:8080/saga-orchestrator (through the gateway)
    PARTICIPANTS   below which each participant is found, such as http://localhost:8080/api (with --key) or, in `core`,
                   http://localhost:8010

Checkouts come from many clients, some of whom must be refused. Kill and restart meanwhile what you like. An order that
got no answer, or a 5xx, is asked for again with its key, as a client should: how often that was is told, and with
--strict it fails. Exit 0: every order ended, and not a unit and not a cent is lost.
"""

import argparse
import itertools
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus

import requests

#: One of ten asks for more than there is, one lacks the money, one may not buy; see participants/seed.py.
REFUSED = (1, 2, 3)
ENDED = (201, 409)
PATIENCE_S = 120.0
PAUSE_S = 0.2


@dataclass
class Seen:
    """What became of all orders. `doubtful`: requests without an answer, or with one that says nothing."""

    statuses: Counter[int] = field(default_factory=Counter)
    doubtful: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class Client:
    """One customer after another, by one connection."""

    def __init__(self, service: str, seen: Seen) -> None:
        self._url, self._seen = f"{service}/api/commande/checkout", seen
        self._session = requests.Session()
        self._session.trust_env = False

    def order(self, client_id: int) -> None:
        """Order once, and ask until it has come to an end."""
        key, began = str(uuid.uuid4()), time.monotonic()
        while time.monotonic() - began < PATIENCE_S:
            status = self._asked(client_id, key)
            if status in ENDED:
                self._seen.statuses[status] += 1
                self._seen.seconds.append(time.monotonic() - began)
                return
            time.sleep(PAUSE_S)
        self._seen.lost.append(key)

    def _asked(self, client_id: int, key: str) -> int:
        body = {"client_id": client_id, "magasin_id": 1}
        try:
            answer = self._session.post(self._url, json=body, headers={"Idempotency-Key": key}, timeout=40)
        except requests.RequestException as error:
            self._seen.doubtful[type(error).__name__] += 1
            return 0
        if answer.status_code == HTTPStatus.CONFLICT and "etat_final" not in answer.json():
            return HTTPStatus.ACCEPTED  # it is still under way
        status: int = answer.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._seen.doubtful[str(status)] += 1
        return status


def load(service: str, clients: int, seconds: float) -> Seen:
    seen, over = Seen(), threading.Event()
    numbers = itertools.count(10)

    def keep_ordering() -> None:
        client = Client(service, seen)
        while not over.is_set():
            number = next(numbers)
            client.order(REFUSED[number % 10] if number % 10 < len(REFUSED) else number)

    with ThreadPoolExecutor(clients) as threads:
        customers = [threads.submit(keep_ordering) for _ in range(clients)]
        time.sleep(seconds)
        over.set()
        for customer in customers:
            customer.result()
    return seen


def complaints(participants: str, key: str | None) -> list[str]:
    """Say what does not agree in the participants' books."""

    def balance(name: str) -> dict[str, float | dict[str, dict[str, int]]]:
        headers = {"X-API-Key": key} if key else {}
        answer = requests.get(f"{participants}/{name}/_balance", headers=headers, timeout=10)
        answer.raise_for_status()
        return dict(answer.json())

    products = balance("stock")["produits"]
    assert isinstance(products, dict)
    wrong = [
        f"product {name}: {it}"
        for name, it in products.items()
        if it["reserve"] or it["initial"] != it["en_main"] + it["vendu"]
    ]
    client, sold = balance("client"), [balance(name)["total"] for name in ("ventes", "recus")]
    cents = [round(float(str(amount)) * 100) for amount in (client["debits"], client["remboursements"], *sold)]
    if cents[0] - cents[1] != sum(cents[2:]):
        wrong.append(f"paid {client}, sold {sold}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("service")
    parser.add_argument("participants")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--key", help="the gateway's key for the participants")
    parser.add_argument("--strict", action="store_true", help="fail as soon as one request got no answer, or a 5xx")
    options = parser.parse_args()
    seen = load(options.service, options.clients, options.seconds)
    wrong = complaints(options.participants, options.key)
    wrong += [f"order {key} never ended" for key in seen.lost]
    wrong += [f"no answer: {dict(seen.doubtful)}"] if options.strict and seen.doubtful else []
    times = sorted(seen.seconds) or [0.0]
    sys.stdout.write(
        f"{sum(seen.statuses.values())} orders in {options.seconds:g} s by {options.clients} clients: "
        f"{seen.statuses[201]} confirmed, {seen.statuses[409]} cancelled; "
        f"p50 {times[len(times) // 2] * 1000:.0f} ms, p99 {times[len(times) * 99 // 100] * 1000:.0f} ms, "
        f"longest {times[-1] * 1000:.0f} ms; asked again after {dict(seen.doubtful) or 'nothing'}\n"
    )
    sys.stdout.writelines(f"wrong: {line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
