"""The shop's blueprint, its links, and the functions that all pages share."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from posixpath import relpath
from typing import Any, cast

from flask import Blueprint, Response, current_app, make_response, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException

from participants.ecommerce.browser_security import add_security_headers, require_same_origin
from participants.ecommerce.http_client import AwayError, DeniedError
from participants.ecommerce.orchestrator import Orchestrator
from participants.ecommerce.other_participants import OtherParticipants
from participants.ecommerce.settings import ShopSettings
from participants.ecommerce.switches import EXPLAINED, Mode, positions

#: The currency of all prices, as the tables of the sagas name it in `amount=`; shop.js writes it, too.
CURRENCY, SYMBOL = "EUR", "€"

routes = Blueprint(
    "ecommerce",
    __name__,
    template_folder="templates",
    static_folder="assets",
    static_url_path="/assets",
)
routes.before_request(require_same_origin)
routes.after_request(add_security_headers)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """The services that the shop calls."""

    settings: ShopSettings
    orchestrator: Orchestrator
    participants: OtherParticipants

    def close(self) -> None:
        self.orchestrator.close()
        self.participants.close()


@routes.record_once
def _open(state: BlueprintSetupState) -> None:
    settings = state.app.config.get("SHOP", ShopSettings())
    state.app.extensions["shop"] = Shop(
        settings=settings,
        orchestrator=Orchestrator(settings.orchestrator_url, settings.orchestrator_api_key),
        participants=OtherParticipants(settings.participants_url, settings.participants_api_key),
    )


def shop() -> Shop:
    return cast("Shop", current_app.extensions["shop"])


def link(endpoint: str, **values: Any) -> str:
    """Return the link from the current page to another page.

    The link is relative, because a gateway can remove a prefix from the path.
    """
    return _way(request.path, endpoint, **values)


def links_from(page: str) -> Callable[..., str]:
    """Return a function that works like `link`, but links from the given page. Parts of a page have another path."""
    return partial(_way, page)


def place(endpoint: str, **values: Any) -> str:
    """Return the path of a page, without the prefix under which the shop is mounted."""
    return url_for(f"ecommerce.{endpoint}", **values).removeprefix(request.script_root)


def _way(page: str, endpoint: str, **values: Any) -> str:
    path, question, query = place(endpoint, **values).partition("?")
    folder, _, name = path.rpartition("/")
    here = page.rpartition("/")[0]
    return f"{relpath(folder or '/', here or '/')}/{name}{question}{query}"


def page(name: str, status: int = 200, **values: Any) -> Response:
    """Render a whole page, including the switches."""
    body = render_template(f"ecommerce/{name}.html", link=link, settings=shop().settings, **panel(), **values)
    return make_response(body, status)


def part(name: str, page_path: str, **values: Any) -> str:
    """Render a part of the page at this path; the page's script replaces the part."""
    return render_template(f"ecommerce/_{name}.html", link=links_from(page_path), settings=shop().settings, **values)


def panel() -> dict[str, Any]:
    """Return the values for the template of the switches; `switches` is None when they cannot be read."""
    try:
        switches = positions(shop().participants)
    except (AwayError, DeniedError):  # the page that shows this error has a panel too
        switches = None
    return {"switches": switches, "modes": Mode, "explained": EXPLAINED}


@routes.app_template_filter("money")
def money(cents: int) -> str:
    """Return an amount with its currency, such as €1,109.88."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{SYMBOL}{Decimal(abs(cents)).scaleb(-2):,.2f}"


@routes.errorhandler(HTTPException)
def show_error(error: HTTPException) -> Response:
    """Answer a visitor with a page instead of a problem document."""
    return page("error", error.code or 500, title=error.name, words=error.description or "")


@routes.errorhandler(DeniedError)
def denied(error: DeniedError) -> Response:
    """Answer with an error page when a service rejected the shop's key: the setting of the shop is wrong."""
    words = f"{error}: it does not let the shop in. Set {error.setting} to a key that it, or its gateway, accepts."
    return page("error", 502, title="The shop has no key", words=words)


@routes.errorhandler(AwayError)
def away(error: AwayError) -> Response:
    return page("error", 503, title="A service does not answer", words=f"{error}. Try again in a moment.")
