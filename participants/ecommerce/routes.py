"""The shop's blueprint, and what all of its pages share."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from flask import Blueprint, Response, current_app, make_response, render_template
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException

from participants.ecommerce.calls import AwayError, DeniedError
from participants.ecommerce.guard import require_same_origin, seal
from participants.ecommerce.links import link, links_from
from participants.ecommerce.neighbours import Neighbours
from participants.ecommerce.orchestrator import Orchestrator
from participants.ecommerce.settings import ShopSettings
from participants.ecommerce.switches import EXPLAINED, Mode, positions

routes = Blueprint(
    "ecommerce",
    __name__,
    template_folder="templates",
    static_folder="assets",
    static_url_path="/assets",
)
routes.before_request(require_same_origin)
routes.after_request(seal)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Whom the shop talks to."""

    settings: ShopSettings
    orchestrator: Orchestrator
    neighbours: Neighbours

    def close(self) -> None:
        self.orchestrator.close()
        self.neighbours.close()


@routes.record_once
def _open(state: BlueprintSetupState) -> None:
    settings = state.app.config.get("SHOP", ShopSettings())
    state.app.extensions["shop"] = Shop(
        settings=settings,
        orchestrator=Orchestrator(settings.orchestrator_url, settings.orchestrator_api_key),
        neighbours=Neighbours(settings.participants_url, settings.participants_api_key),
    )


def shop() -> Shop:
    return cast("Shop", current_app.extensions["shop"])


def page(name: str, status: int = 200, **values: Any) -> Response:
    """Render a whole page, with the switches that belong to each."""
    body = render_template(f"ecommerce/{name}.html", link=link, settings=shop().settings, **panel(), **values)
    return make_response(body, status)


def part(name: str, page_path: str, **values: Any) -> str:
    """Render a piece that the page at this path holds, and that its script replaces."""
    return render_template(f"ecommerce/_{name}.html", link=links_from(page_path), settings=shop().settings, **values)


def panel() -> dict[str, Any]:
    """Return what the switches' template needs; no switches when they cannot be read."""
    try:
        switches = positions(shop().neighbours)
    except (AwayError, DeniedError):  # the page of that very error has a panel as well
        switches = None
    return {"switches": switches, "modes": Mode, "explained": EXPLAINED}


@routes.app_template_filter("money")
def money(cents: int) -> str:
    return f"{Decimal(cents).scaleb(-2):,.2f}"


@routes.errorhandler(HTTPException)
def sorry(error: HTTPException) -> Response:
    """Answer a person with a page, and not with a problem document."""
    return page("error", error.code or 500, title=error.name, words=error.description or "")


@routes.errorhandler(DeniedError)
def denied(error: DeniedError) -> Response:
    """Answer a request that a neighbour denied: whoever installed the shop made a mistake."""
    words = f"{error}: it does not let the shop in. Set {error.setting} to a key that it, or its gateway, accepts."
    return page("error", 502, title="The shop has no key", words=words)


@routes.errorhandler(AwayError)
def away(error: AwayError) -> Response:
    return page("error", 503, title="Somebody is away", words=f"{error}. Try again in a moment.")
