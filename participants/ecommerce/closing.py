"""What the shop does after an order: it empties the order's cart, and ends the slowness that let people watch it.

The shop looks for ended orders itself, so a cart is also emptied when nobody watches its order, and after a restart.
"""

from collections.abc import Iterable
from uuid import UUID

from flask import Flask

from participants.ecommerce import purchases
from participants.ecommerce.http_client import AwayError, DeniedError
from participants.ecommerce.orchestrator import NoSagaError
from participants.ecommerce.routes import shop
from participants.ecommerce.switches import speed_up
from participants.periodic import repeat

_ENDED = {"completed", "compensated"}
_STUCK = "failed"


def close_every(interval_s: float, app: Flask) -> None:
    """Look for ended orders every `interval_s` seconds, in a thread that ends with the process."""
    repeat(close_ended, interval_s, app)


def close_ended() -> None:
    """Close each order that has ended. What a service that is away prevents is done at a later look."""
    waiting = purchases.still_open()
    for purchase in waiting:
        try:
            _close(purchase, [each for each in waiting if each is not purchase])
        except (AwayError, DeniedError):
            return


def slowed_by(waiting: Iterable[purchases.Purchase]) -> set[str]:
    """Return the participants that are slow for one of these orders."""
    return {name for each in waiting for name in each["ralentis"] or ()}


def _close(purchase: purchases.Purchase, others: Iterable[purchases.Purchase]) -> None:
    try:
        status = shop().orchestrator.saga(UUID(purchase["saga_id"]))["status"]
    except NoSagaError:  # the orchestrator has a new database
        status = "completed"
    if purchase["ralentis"] and status in {*_ENDED, _STUCK}:
        speed_up(shop().participants, set(purchase["ralentis"]) - slowed_by(others))
        purchase["ralentis"] = []
        purchases.change(purchase["saga_id"], ralentis=[])
    if status in _ENDED:
        shop().participants.empty_cart(purchase["client_id"], purchase["cle"])
        purchases.change(purchase["saga_id"], clos=True)
