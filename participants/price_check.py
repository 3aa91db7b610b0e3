"""The price check: the stock asks the catalogue whether a purchase has the right prices and amount."""

from collections.abc import Callable, Mapping
from typing import Any

import requests
from flask import Flask, current_app

from participants.barrier import Problem, Refused

#: Timeout in seconds. It is less than the 5 s of a step, so that the stock can still answer with the reason.
TIMEOUT_S = 3.0
_REFUSALS = {400, 404, 409, 422}
_PATH = "/produits/verifier"

#: Sends a purchase's lines and amount to the catalogue, and returns the status and body of the answer.
Catalogue = Callable[[Mapping[str, Any]], tuple[int, Any]]


def require_price(purchase: Mapping[str, Any]) -> None:
    """Raise Refused with the catalogue's own message when the prices or the amount of the purchase are wrong."""
    catalogue: Catalogue | None = current_app.config.get("CATALOGUE")
    if catalogue is None:
        raise Problem(503, "No catalogue", "Prices cannot be checked: set CATALOGUE_URL")
    try:
        status, body = catalogue({"produits": purchase["produits"], "montant": purchase["montant"]})
    except (requests.RequestException, ValueError) as error:
        raise _out_of_reach(type(error).__name__) from error
    if status in _REFUSALS and isinstance(body, dict):
        extra = {name: value for name, value in body.items() if name not in {"type", "title", "status", "detail"}}
        raise Refused(status, body.get("title"), body.get("detail", ""), **extra)
    if status != 200:  # noqa: PLR2004
        raise _out_of_reach(str(status))


def catalogue_at(url: str) -> Catalogue:
    """Return a catalogue that is called over HTTP."""

    def ask(purchase: Mapping[str, Any]) -> tuple[int, Any]:
        with requests.Session() as session:
            session.trust_env = False
            reply = session.post(url + _PATH, json=purchase, timeout=TIMEOUT_S, allow_redirects=False)
            return reply.status_code, reply.json()

    return ask


def catalogue_in(app: Flask) -> Catalogue:
    """Return a catalogue that runs in this process.

    Over HTTP, buyers could occupy all threads of the server while each waits for a thread that answers its check.
    """

    def ask(purchase: Mapping[str, Any]) -> tuple[int, Any]:
        reply = app.test_client().post(_PATH, json=purchase)
        return reply.status_code, reply.get_json()

    return ask


def _out_of_reach(why: str) -> Problem:
    return Problem(503, "Catalogue out of reach", f"The catalogue did not check the prices: {why}")
