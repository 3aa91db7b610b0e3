"""/login and /logout: a person signs in and out."""

import structlog
from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access.address import client_address, counted_address
from app.access.permissions import OPEN, needs
from app.access.sessions import code_is_right, sign_in, sign_out, signed_in
from app.access.user_accounts import NAME, matches
from app.admin.error_pages import as_pages
from app.errors import BusyError
from app.services import services
from app.store.login_attempts import ATTEMPT_WINDOW_S
from app.telemetry.refusals import PERSON

blueprint = as_pages(Blueprint("access", __name__))
_log = structlog.get_logger("access")
#: Largest number of characters of a user name; further characters are cut off.
_LONGEST_NAME = 64


@blueprint.get("/login")
@needs(OPEN)
def show_login() -> str:
    return render_template("admin/login.html", next=own_path(request.args.get("next", "")), **ways_in())


@blueprint.post("/login")
@needs(OPEN)
def login() -> Response:
    if not current_app.config["LOCAL_ACCOUNTS"]:
        return _again("", "Passwords are switched off here. Sign in with your organisation's account.", 403)
    name, password = request.form.get("name", "").strip()[:_LONGEST_NAME], request.form.get("password", "")
    address, counted_as = client_address(), counted_address()
    login_attempts = services().login_attempts
    known = name if NAME.fullmatch(name) else ""  # all invalid names are counted as one name
    if not login_attempts.register(known, counted_as):
        services().refused_senders.count(PERSON)
        answer = _again(name, "Too many attempts. Wait a minute, then try again.", 429)
        answer.headers["Retry-After"] = str(round(ATTEMPT_WINDOW_S))
        return answer
    user = services().users.find(known) if known else None
    try:
        right = matches(password, user.password if user and user.issuer is None else None)
    except BusyError as busy:
        answer = _again(name, "Many people sign in at this moment. Try again in a few seconds.", busy.status)
        answer.headers.update(busy.headers)
        return answer
    if right and user:
        right = code_is_right(user, request.form.get("code", "").replace(" ", ""))
    if not right:
        services().refused_senders.count(PERSON)
        login_attempts.failed(user.name if user else None, address)
        _log.warning("sign_in.refused", user=user.name if user else None, address=address)
        return _again(name, "Name, password or code is wrong.", 401)
    login_attempts.forgive(known, counted_as)
    sign_in(known)
    return redirect(own_path(request.form.get("next", "")), 303)


@blueprint.post("/logout")
@needs(OPEN)
def logout() -> Response:
    person, provider = signed_in(), services().provider
    sign_out()
    page = provider.sign_out_page() if provider and person and person.from_provider else None
    if page:  # a form may not lead to another site, so the page has a link
        return make_response(render_template("admin/signed_out.html", page=page))
    return redirect(url_for("access.show_login"), 303)


def ways_in() -> dict[str, bool]:
    """Return which ways to sign in the page shows."""
    return {"local": current_app.config["LOCAL_ACCOUNTS"], "by_provider": services().provider is not None}


def _again(name: str, wrong: str, status: int) -> Response:
    wanted = own_path(request.form.get("next", ""))
    page = render_template("admin/login.html", next=wanted, name=name, wrong=wrong, **ways_in())
    return make_response(page, status)


def own_path(wanted: str) -> str:
    """Return the path if it belongs to this service, otherwise that of the overview.

    A browser reads a path that begins with two slashes as the address of another site.
    """
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if ours else url_for("admin_overview.show")
