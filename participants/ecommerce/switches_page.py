"""Turning the switches: one participant's, or all at once."""

from collections.abc import Callable
from http import HTTPStatus

from flask import jsonify, redirect, request
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as AnyResponse

from participants.ecommerce.basket import key_of
from participants.ecommerce.links import link, place
from participants.ecommerce.routes import panel, part, routes, shop
from participants.ecommerce.switches import PARTICIPANTS, Mode, turn

ALL = "all"


@routes.post("/switches/<name>")
def switch(name: str) -> AnyResponse:
    if name not in {ALL, *PARTICIPANTS}:
        raise NotFound(f"There is no switch for {name}.")
    try:
        mode = Mode(request.form.get("mode", ""))
    except ValueError:
        raise BadRequest(f"mode: choose one of {', '.join(Mode)}.") from None
    for each in PARTICIPANTS if name == ALL else (name,):
        turn(shop().neighbours, each, mode)
    if request.headers.get("Accept") == "application/json":
        back = request.form.get("back", "")
        return jsonify(parts={"switches": part("switches", _page(place), back=back, **panel())})
    return redirect(_page(link), HTTPStatus.SEE_OTHER)


def _page(way: Callable[..., str]) -> str:
    """Name the page that the switch stood on, which calls itself by an order's number or not at all."""
    back = request.form.get("back", "")
    if saga_id := key_of(back):
        return way("order", saga_id=saga_id)
    return way("orders") if back == "orders" else way("shelf")
