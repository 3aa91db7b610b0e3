"""The live page of one order: its diagram, its calls and the participants' books; and the return of the order."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Response, jsonify, make_response, redirect, request
from werkzeug.exceptions import BadRequest, Conflict, NotFound, ServiceUnavailable
from werkzeug.wrappers import Response as AnyResponse

from participants.ecommerce import purchases
from participants.ecommerce.basket import from_rows, key_of
from participants.ecommerce.experiments_page import outcome
from participants.ecommerce.http_client import AwayError
from participants.ecommerce.ladder import Ladder, ladder
from participants.ecommerce.narration import LEDGER, Narration, narrate
from participants.ecommerce.orchestrator import CHECKOUT, RETURN, NoSagaError, RefusedError
from participants.ecommerce.routes import link, page, panel, part, place, routes, shop
from participants.ecommerce.switches import TITLES
from participants.payloads import on_the_wire, whole_cents

#: The participants whose books are shown. The cart is missing, because it is only read.
_BOOKED = ("stock", "client", "ventes")
_REASON = "brought back to the shop"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the page shows of a saga."""

    narration: Narration
    ladder: Ladder
    experiment: dict[str, Any] | None


@routes.get("/orders/<uuid:saga_id>")
def order(saga_id: UUID) -> Response:
    purchase, seen = _known(saga_id)
    return page(
        "order",
        saga_id=saga_id,
        purchase=purchase,
        lines=from_rows(purchase["produits"]) if purchase else [],
        narration=seen and seen.narration,
        ladder=seen and seen.ladder,
        outcome=seen and seen.experiment,
        **_books(saga_id, purchase),
    )


@routes.get("/orders/<uuid:saga_id>/live")
def live(saga_id: UUID) -> Response:
    """Return the parts of the page that change. The diagram is included when the saga's mark differs from ?mark=."""
    purchase, seen = _known(saga_id)
    narration = seen and seen.narration
    here = place("order", saga_id=saga_id)
    parts = {
        "now": part("now", here, narration=narration, saga_id=saga_id),
        "ledgers": part("ledgers", here, **_books(saga_id, purchase)),
        "switches": part("switches", here, back=saga_id, **panel()),
    }
    ended = bool(narration and narration.ended)
    closed = purchase is None or purchase["retour_de"] is not None or bool(purchase["clos"])
    answer: dict[str, Any] = {"parts": parts, "away": narration is None, "ended": ended, "closed": closed}
    if seen and narration:
        parts["calls"] = part("calls", here, narration=narration)
        if seen.experiment:
            parts["experiment"] = part("outcome", here, outcome=seen.experiment, narration=narration, saga_id=saga_id)
        parts["ladder"] = part("ladder", here, ladder=seen.ladder, narration=narration)
        answer |= {"mark": narration.mark, "stuck": narration.tone == "stuck"}
        if narration.mark != request.args.get("mark"):
            try:
                answer["diagram"] = _taken_apart(shop().orchestrator.diagram(saga_id))
            except AwayError:
                answer["mark"] = request.args.get("mark", "")
    return jsonify(answer)


@routes.get("/orders/<uuid:saga_id>/diagram.svg")
def diagram(saga_id: UUID) -> Response:
    try:
        drawn = shop().orchestrator.diagram(saga_id)
    except NoSagaError:
        raise NotFound(f"There is no order {saga_id}.") from None
    return make_response(drawn, {"Content-Type": "image/svg+xml"})


@routes.post("/orders/<uuid:saga_id>/return")
def bring_back(saga_id: UUID) -> AnyResponse:
    """Return all goods of a purchase."""
    key = key_of(request.form.get("key"))
    if key is None:
        raise BadRequest("key: the form has lost its key; open the orders again and return it from there.")
    purchase = purchases.find(saga_id)
    if purchase is None or purchase["retour_de"]:
        raise NotFound(f"Nothing was bought here in the order {saga_id}.")
    if (known := purchases.of_key(str(key))) is None:
        try:
            known = _brought_back(purchase, saga_id, str(key))
        except AwayError:
            raise ServiceUnavailable(
                "The orchestrator does not answer. Nothing was returned; try again soon."
            ) from None
        except RefusedError as error:
            raise Conflict(str(error)) from None
    return redirect(link("order", saga_id=known), HTTPStatus.SEE_OTHER)


def _taken_apart(svg: str) -> dict[str, str]:
    """Return the picture and its style separately: the Content Security Policy forbids inline styles."""
    before, _, rest = svg.partition("<style>")
    style, _, after = rest.partition("</style>")
    return {"svg": before + after, "style": style}


def _brought_back(purchase: purchases.Purchase, saga_id: UUID, key: str) -> UUID:
    client_id, lines, amount = purchase["client_id"], from_rows(purchase["produits"]), purchase["montant"]
    data = {
        "sale_id": _sale(saga_id),
        "customer_id": client_id,
        "items": [{"product_id": int(it.product_id), "quantity": it.quantity, "reason": _REASON} for it in lines],
        "refund_amount": on_the_wire(amount),
    }
    returned = shop().orchestrator.bring_back(data, key)
    row = {"client_id": client_id, "produits": purchase["produits"], "montant": amount}
    purchases.record(returned, key, retour_de=str(saga_id), **row)
    return returned


def _sale(saga_id: UUID) -> str:
    """Return the id of the order's sale."""
    try:
        saga = shop().orchestrator.saga(saga_id)
    except NoSagaError:
        raise NotFound(f"The orchestrator knows no order {saga_id}.") from None
    for step in saga["steps"]:
        if step["status"] == "completed" and "vente_id" in (step["output_data"] or {}):
            return str(step["output_data"]["vente_id"])
    raise Conflict("This order has ended in no sale, so there is nothing to bring back.")


def _known(saga_id: UUID) -> tuple[purchases.Purchase | None, Seen | None]:
    """Return the purchase, and the saga as it is seen; None while the orchestrator is away."""
    purchase = purchases.find(saga_id)
    try:
        saga = shop().orchestrator.saga(saga_id)
        definition = shop().orchestrator.definition(saga["type"])
    except NoSagaError:
        raise NotFound(f"There is no order {saga_id}.") from None
    except AwayError:
        return purchase, None
    experiment = outcome(saga, definition, purchase) if purchase else None
    return purchase, Seen(narration=narrate(saga, definition), ladder=ladder(saga, definition), experiment=experiment)


def _books(saga_id: UUID, purchase: purchases.Purchase | None) -> dict[str, Any]:
    participants = shop().participants
    try:
        books = participants.books()
        rows = {name: participants.ledger(name, saga_id) for name in _BOOKED}
    except AwayError:
        return {"books": None}
    actions = _actions(RETURN if purchase and purchase["retour_de"] else CHECKOUT)
    ledgers = {name: [_ledger_row(row, actions) for row in its] for name, its in rows.items()}
    names = {it.product_id: it.name for it in from_rows(purchase["produits"])} if purchase else {}
    return {"books": books, "ledgers": ledgers, "titles": TITLES, "product_names": names}


def _actions(saga: str) -> Mapping[str, str]:
    """Return the title of each step; empty while the orchestrator is away."""
    try:
        return shop().orchestrator.definition(saga).step_titles
    except AwayError:
        return {}


def _ledger_row(row: dict[str, Any], actions: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that the template shows of a ledger's row."""
    paid = (row["reply"] or {}).get("montant")
    return {
        "undoes": row["direction"] == "undo",
        "what": actions.get(row["step"]) or row["step"],
        "state": row["state"],
        "says": LEDGER.get(row["state"], row["state"]),
        "cents": None if paid is None else whole_cents(paid),
    }
