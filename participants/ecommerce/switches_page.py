"""The endpoint that sets the mode of one participant (slow, down, …), or of all participants."""

from collections.abc import Callable
from http import HTTPStatus

from flask import jsonify, redirect, request
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as AnyResponse

from participants.ecommerce.basket import key_of
from participants.ecommerce.routes import link, panel, part, place, routes, shop
from participants.ecommerce.switches import TITLES, Mode, turn

ALL = "all"


@routes.post("/switches/<name>")
def switch(name: str) -> AnyResponse:
    if name not in {ALL, *TITLES}:
        raise NotFound(f"There is no switch for {name}.")
    try:
        mode = Mode(request.form.get("mode", ""))
    except ValueError:
        raise BadRequest(f"mode: choose one of {', '.join(Mode)}.") from None
    for each in TITLES if name == ALL else (name,):
        turn(shop().participants, each, mode)
    if request.headers.get("Accept") == "application/json":
        back = request.form.get("back", "")
        return jsonify(parts={"switches": part("switches", _page(place), back=back, **panel())})
    return redirect(_page(link), HTTPStatus.SEE_OTHER)


def _page(way: Callable[..., str]) -> str:
    """Return the page on which the switch was turned: an order, the list of orders, or the shop."""
    back = request.form.get("back", "")
    if saga_id := key_of(back):
        return way("order", saga_id=saga_id)
    return way("orders") if back == "orders" else way("shelf")
