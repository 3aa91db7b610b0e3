"""The live page of one order: its diagram, its calls and the participants' books; and the return of the order."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Response, jsonify, make_response, redirect, request
from werkzeug.exceptions import BadRequest, Conflict, NotFound, ServiceUnavailable
from werkzeug.wrappers import Response as AnyResponse

from participants.ecommerce import purchases
from participants.ecommerce.basket import from_rows, key_of
from participants.ecommerce.http_client import AwayError
from participants.ecommerce.narration import LEDGER, STEPS, Narration, narrate
from participants.ecommerce.orchestrator import NoSagaError, RefusedError
from participants.ecommerce.routes import link, page, panel, part, place, routes, shop
from participants.ecommerce.switches import TITLES
from participants.payloads import on_the_wire

#: The participants whose books are shown. The cart is missing, because it is only read.
_BOOKED = ("stock", "client", "ventes")
_REASON = "brought back to the shop"


@routes.get("/orders/<uuid:saga_id>")
def order(saga_id: UUID) -> Response:
    purchase, narration = _known(saga_id)
    return page(
        "order",
        saga_id=saga_id,
        purchase=purchase,
        lines=from_rows(purchase["produits"]) if purchase else [],
        narration=narration,
        **_books(saga_id, purchase),
    )


@routes.get("/orders/<uuid:saga_id>/live")
def live(saga_id: UUID) -> Response:
    """Return the parts of the page that change. The diagram is included when the saga's mark differs from ?mark=."""
    purchase, narration = _known(saga_id)
    here = place("order", saga_id=saga_id)
    parts = {
        "now": part("now", here, narration=narration, saga_id=saga_id),
        "ledgers": part("ledgers", here, **_books(saga_id, purchase)),
        "switches": part("switches", here, back=saga_id, **panel()),
    }
    answer: dict[str, Any] = {"parts": parts, "away": narration is None, "ended": bool(narration and narration.ended)}
    if narration:
        parts["calls"] = part("calls", here, narration=narration)
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


def _known(saga_id: UUID) -> tuple[purchases.Purchase | None, Narration | None]:
    """Return the purchase and the narration of an order. The narration is None while the orchestrator is away."""
    purchase = purchases.find(saga_id)
    try:
        saga = shop().orchestrator.saga(saga_id)
        return purchase, narrate(saga, shop().orchestrator.definition(saga["type"]))
    except NoSagaError:
        raise NotFound(f"There is no order {saga_id}.") from None
    except AwayError:
        return purchase, None


def _books(saga_id: UUID, purchase: purchases.Purchase | None) -> dict[str, Any]:
    participants = shop().participants
    try:
        books = participants.books()
        ledgers = {name: [_ledger_row(row) for row in participants.ledger(name, saga_id)] for name in _BOOKED}
    except AwayError:
        return {"books": None}
    names = {it.product_id: it.name for it in from_rows(purchase["produits"])} if purchase else {}
    return {"books": books, "ledgers": ledgers, "titles": TITLES, "product_names": names}


def _ledger_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return the values that the template shows of a ledger's row."""
    reply = row["reply"] or {}
    return {
        "undoes": row["direction"] == "undo",
        "what": STEPS.get(row["step"], (row["step"],))[0],
        "state": row["state"],
        "says": LEDGER.get(row["state"], row["state"]),
        "montant": reply.get("montant"),
    }
