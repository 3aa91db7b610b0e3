"""/admin/keys: the API keys of programs."""

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access.api_keys import LONGEST_DAYS, NewKey, expires_soon
from app.access.permissions import Role, needs
from app.access.principal import principal
from app.admin.error_pages import as_pages
from app.errors import InvalidError, ProblemError
from app.services import services

blueprint = as_pages(Blueprint("keys", __name__, url_prefix="/admin/keys"))
#: Validity of a new key in days; the form has this value until a person changes it.
_DEFAULT_DAYS = 90


@blueprint.get("")
@needs(Role.ADMIN)
def index() -> Response:
    return _page()


@blueprint.post("")
@needs(Role.ADMIN)
def add() -> Response:
    """Make a key and show it in this answer. There is no redirect, because the service stores only the key's digest."""
    try:
        made = services().api_keys.make(
            request.form.get("name", "").strip(),
            _grants(),
            _days(),
            principal().actor,
            networks=request.form.get("networks", "").replace(",", " ").split(),
            rate_limit=request.form.get("rate_limit", "").strip(),
            tenant=request.form.get("tenant", "").strip(),
        )
    except ProblemError as error:
        return _page(error)
    return _page(made=made)


@blueprint.post("/<prefix>/revoke")
@needs(Role.ADMIN)
def revoke(prefix: str) -> Response:
    try:
        services().api_keys.keys.revoke(prefix, principal().actor)
    except ProblemError as error:
        return _page(error)
    flash(f"{prefix} is revoked; every process refuses it within a few seconds.", "done")
    return redirect(url_for("keys.index"), 303)


def _grants() -> list[str]:
    """Return the grants: each chosen scope, limited to the chosen type, and to the key's own sagas."""
    limit = "".join(f":{word}" for word in (request.form.get("type"), request.form.get("own")) if word)
    return [f"{scope}{limit}" for scope in request.form.getlist("scope")]


def _days() -> int:
    text = request.form.get("days", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(LONGEST_DAYS))):
        raise InvalidError(("/days", f"Give 1 to {LONGEST_DAYS}."))
    return int(text)


def _page(error: ProblemError | None = None, made: NewKey | None = None) -> Response:
    page = render_template(
        "admin/api_keys.html",
        keys=services().api_keys.keys.all(),
        longest=LONGEST_DAYS,
        expires_soon=expires_soon,
        types=services().registry.names,
        given=request.form if error else {"days": _DEFAULT_DAYS},
        error=error,
        made=made,
    )
    return make_response(page, error.status if error else 200)
