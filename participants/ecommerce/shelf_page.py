"""The pages of the shop: pick products, buy, and list the orders."""

from http import HTTPStatus
from uuid import UUID, uuid4

from flask import Response, redirect, request
from werkzeug.exceptions import BadRequest, Conflict
from werkzeug.wrappers import Response as AnyResponse

from participants.ecommerce import purchases
from participants.ecommerce.basket import CLIENTS, Basket, as_rows, client_of, key_of, picked
from participants.ecommerce.closing import slowed_by
from participants.ecommerce.http_client import AwayError
from participants.ecommerce.orchestrator import NoSagaError, RefusedError
from participants.ecommerce.routes import link, page, routes, shop
from participants.ecommerce.switches import slow_down

_KEPT = (
    "Nothing is lost: your basket is kept here. Press the button again in a moment; however often you do, it is bought "
    "once."
)


@routes.get("/")
def shelf() -> Response:
    client = client_of(request.args.get("client", str(CLIENTS[0].client_id)))
    if client is None:
        raise BadRequest(f"client: there is no client {request.args['client']!r} here; use one of {_known()}.")
    products = shop().participants.shelf()
    basket = picked(client, products, {}, uuid4())
    return page("shop", clients=CLIENTS, products=products, basket=basket)


@routes.post("/buy")
def buy() -> AnyResponse:
    client, key = client_of(request.form.get("client")), key_of(request.form.get("key"))
    if client is None:
        raise BadRequest(f"client: choose one of {_known()}.")
    if key is None:
        raise BadRequest("key: the form has lost its key; open the shop again and buy from there.")
    products = shop().participants.shelf()
    basket = picked(client, products, request.form, key)
    if basket.errors:
        return page("shop", HTTPStatus.BAD_REQUEST, clients=CLIENTS, products=products, basket=basket)
    try:
        saga_id = _bought(basket, watched="watch" in request.form)
    except AwayError as error:
        return page("shop", 503, clients=CLIENTS, products=products, basket=basket, problem=f"{error}. {_KEPT}")
    except RefusedError as error:
        return page("shop", 409, clients=CLIENTS, products=products, basket=basket, problem=str(error))
    return redirect(link("order", saga_id=saga_id), HTTPStatus.SEE_OTHER)


@routes.get("/buy")
def not_bought() -> AnyResponse:
    """Redirect a visitor who reloads the page of a failed purchase by its address."""
    return redirect(link("shelf"), HTTPStatus.SEE_OTHER)


@routes.get("/orders")
def orders() -> Response:
    try:
        standings = shop().orchestrator.standings()
    except AwayError:
        standings = None
    bought = [{**it, "returns": purchases.returns_of(UUID(it["saga_id"]))} for it in purchases.latest()]
    return page(
        "orders",
        bought=bought,
        standings=standings or {},
        away=standings is None,
        keys={it["saga_id"]: uuid4() for it in bought},
    )


def _bought(basket: Basket, *, watched: bool) -> UUID:
    """Fill the client's cart and order it. The same form with the same goods returns the same order."""
    if known := purchases.of_key(basket.idempotency_key):
        return known
    _require_cart_free(basket)
    slowed = slow_down(shop().participants, slowed_by(purchases.still_open())) if watched else []
    shop().participants.fill_cart(basket.client.client_id, basket.lines, basket.idempotency_key)
    saga_id = shop().orchestrator.check_out(basket.client.client_id, basket.idempotency_key)
    purchases.record(
        saga_id,
        basket.idempotency_key,
        client_id=basket.client.client_id,
        produits=as_rows(basket.lines),
        montant=basket.total,
        ralentis=slowed,
    )
    return saga_id


def _require_cart_free(basket: Basket) -> None:
    """Raise Conflict while the first step of the client's latest order has not read the cart yet."""
    client_id = basket.client.client_id
    last = purchases.latest_of(client_id)
    if last is None or last["cle"] == basket.idempotency_key:  # the same order: a second click on the button
        return
    try:
        saga = shop().orchestrator.saga(UUID(last["saga_id"]))
    except NoSagaError:  # the orchestrator has a new database
        return
    first = min(saga["steps"], key=lambda step: step["step_order"])
    if saga["status"] in {"pending", "in_progress"} and first["status"] in {"pending", "in_progress"}:
        raise Conflict(f"Client {client_id}'s order before this one has not read its cart yet; buy again when it has.")


def _known() -> str:
    return ", ".join(str(client.client_id) for client in CLIENTS)
