"""Inputs, and ways to run a saga, that several tests of the engine share."""

import threading

from app.errors import ConflictError, StillRunningError

BUY = {"store_id": 1, "customer_id": 123, "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
       "payment_method": "credit_card", "amount": 59.98}  # fmt: skip
CART = {"client_id": 4, "magasin_id": 1}
FORWARD = ["lire_panier", "reserver_stock", "payer", "enregistrer_vente", "confirmer"]


class DiedError(Exception):
    """Stands in for the death of the process."""


def die():
    raise DiedError


def at_once(ask, number=6):
    """Call `ask` in many threads at the same moment; return the results, with "conflict" for a refusal."""
    gate, results = threading.Barrier(number), []

    def client():
        gate.wait()
        try:
            results.append(ask())
        except (ConflictError, StillRunningError):
            results.append("conflict")

    threads = [threading.Thread(target=client) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
