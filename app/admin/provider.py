"""/login/oidc: a person signs in at the OpenID Connect provider, and comes back."""

import hmac
from dataclasses import asdict

import structlog
from flask import Blueprint, current_app, make_response, redirect, render_template, request
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from app.access.oidc import AwayError, Flow, Provider, RefusedError
from app.access.permissions import OPEN, needs
from app.access.sessions import sign_in
from app.admin.error_pages import as_pages
from app.admin.sign_in import own_path, ways_in
from app.errors import NotFoundError, ProblemError
from app.services import services
from app.sign_in_settings import CALLBACK
from app.store.database import db
from app.store.provider_accounts import enter
from app.telemetry.refusals import PERSON

blueprint = as_pages(Blueprint("provider", __name__))
_log = structlog.get_logger("access")
#: Cookie that keeps the flow. It is Lax, because the provider leads the browser back from another site.
_COOKIE = "__Host-saga-sign-in"
#: Seconds within which the person must sign in at the provider.
_LASTS_S = 600


@blueprint.get("/login/oidc")
@needs(OPEN)
def start() -> Response:
    """Send the person to the provider."""
    try:
        page, flow = _provider().start()
    except ProblemError as error:
        return _refused(error)
    answer = redirect(page, 303)
    kept = _serializer().dumps({"flow": asdict(flow), "next": own_path(request.args.get("next", ""))})
    answer.set_cookie(_COOKIE, kept, max_age=_LASTS_S, secure=True, httponly=True, samesite="Lax", path="/")
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.get(CALLBACK)
@needs(OPEN)
def callback() -> Response:
    """Sign in the person whom the provider sends back."""
    provider = _provider()
    try:
        flow, then = _kept()
        sign_in(enter(db.engine, provider.finish(flow, request.args)))
    except ProblemError as error:
        return _refused(error)
    return _forgotten(make_response(render_template("admin/entered.html", next=then)))


def _kept() -> tuple[Flow, str]:
    """Return the flow that this browser has begun, and the page to show then. Raise RefusedError without it."""
    try:
        kept = _serializer().loads(request.cookies.get(_COOKIE, ""), max_age=_LASTS_S)
    except BadData as error:
        again = "this browser has not begun to sign in, or more than ten minutes ago; sign in again"
        raise RefusedError(again, f"cookie: {error}") from None
    flow = Flow(**kept["flow"])
    if not hmac.compare_digest(flow.state.encode(), request.args.get("state", "").encode()):
        raise RefusedError("this answer belongs to another attempt to sign in; sign in again", "state")
    return flow, kept["next"]


def _provider() -> Provider:
    provider = services().provider
    if provider is None:
        raise NotFoundError("people sign in with a password here")
    return provider


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="saga-sign-in")


def _refused(error: ProblemError) -> Response:
    """Return the sign-in page with the reason in plain words."""
    if isinstance(error, RefusedError | AwayError):
        _log.warning("sign_in.refused", why=error.why)
    if isinstance(error, RefusedError):
        services().refused_senders.count(PERSON)
    wrong = f"{error.detail[:1].upper()}{error.detail[1:]}."
    answer = make_response(
        render_template("admin/login.html", next=own_path(""), wrong=wrong, **ways_in()), error.status
    )
    answer.headers.update(error.headers)
    return _forgotten(answer)


def _forgotten(answer: Response) -> Response:
    """Let the browser forget the flow: each code and state is used once."""
    answer.delete_cookie(_COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
    return answer
