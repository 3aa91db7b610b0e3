"""Before every request: who asks, whether the view may be shown to them, and whether a form is one of ours."""

from urllib.parse import quote

from flask import Flask, current_app, g, redirect, request, session
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.wrappers import Response

from app.access.keys import KeyRing
from app.access.needs import Need, Open, need_of
from app.access.principal import ANYBODY, NOBODY, Principal
from app.access.roles import Role, Scope
from app.access.sessions import signed_in
from app.config import Config
from app.errors import ForbiddenError, ForgedError, NotFoundError, UnauthenticatedError
from app.services import services

_SAFE = ("GET", "HEAD", "OPTIONS")
_csrf = CSRFProtect()
#: Flask-WTF's name, in the session and in the form.
_CSRF_FIELD = "csrf_token"
#: In bytes. Anybody may send the form of /login; a form of an operator's may name some hundred sagas.
LARGEST_OPEN_FORM, LARGEST_FORM = 4096, 64 * 1024


def install(app: Flask, config: Config) -> None:
    # Checked below, for not every request is a form: one that brings a key, and no cookie, cannot be forged.
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None)
    app.config["API_AUTH"] = config.api_auth
    app.config["LISTED_ORIGINS"] = config.cors_origins
    _csrf.init_app(app)
    app.before_request(_check)


def _check() -> Response | None:
    endpoint, named = request.endpoint, request.view_args
    if endpoint is None or request.method == "OPTIONS":  # no such page, or merely what there is
        return None
    if named and any("\x00" in str(value) for value in named.values()):
        raise NotFoundError("nothing has a NUL in its name")  # and no database can be asked for it
    g.principal = NOBODY
    need = need_of(endpoint, current_app.view_functions[endpoint])
    match need:
        case Scope():
            g.principal = who = _of_the_api()
            allowed = need in who.scopes
        case Role():
            _check_session()
            g.principal = who = signed_in() or NOBODY
            if who is not NOBODY:
                _check_form(LARGEST_FORM)
            allowed = who.has(need)
        case Open():
            _check_session()
            _check_form(LARGEST_OPEN_FORM)
            return None
        case None:
            raise ForbiddenError("this page does not say who may see it")
    return None if allowed else _refused(need, who)


def _of_the_api() -> Principal:
    asks = current_app.config["API_AUTH"]
    secret = _key_sent() if asks else None
    if secret is not None:
        ring: KeyRing = services().api_keys
        return ring.principal(secret)
    if not asks and request.method not in _SAFE and "X-CSRFToken" not in request.headers:
        listed = request.headers.get("Origin") in current_app.config["LISTED_ORIGINS"]  # `*` is no origin
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and not listed:
            raise ForgedError("a page of another site sent this; ask from one of this service, or from a program")
        return ANYBODY
    person = signed_in()
    if person:
        # A cookie goes along with whatever page asks, so for an act the token must as well.
        _check_form(None)
    return person or (NOBODY if asks else ANYBODY)


def _key_sent() -> str | None:
    sent = request.headers
    if key := sent.get("X-API-Key"):
        return key
    scheme, _, secret = sent.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def _check_session() -> None:
    """Refuse who has no session, before a byte of the form is read: without one no form can be ours."""
    if request.method not in _SAFE and _CSRF_FIELD not in session:
        raise ForgedError("The CSRF session token is missing; open the page anew and send its own form")


def _check_form(largest: int | None) -> None:
    """largest: how many bytes the form may have; None: as many as any request."""
    if request.method in _SAFE:
        return
    if largest is not None:
        request.max_content_length = largest
    try:
        _csrf.protect()
    except CSRFError as error:
        raise ForgedError(f"{error.description}; open the page anew and send its own form") from None


def _refused(need: Need, who: Principal) -> Response:
    if who is not NOBODY:
        asked = f"the role {need.word}" if isinstance(need, Role) else f"the scope {need}"
        raise ForbiddenError(f"this needs {asked}, which {who.name} does not have")
    if request.method in _SAFE and (isinstance(need, Role) or request.accept_mimetypes.best == "text/html"):
        return _to_sign_in()
    if isinstance(need, Role):
        raise UnauthenticatedError("sign in at /login first")
    raise UnauthenticatedError("this needs an API key: send it as X-API-Key, or as Authorization: Bearer")


def _to_sign_in() -> Response:
    if "HX-Request" in request.headers:  # a part of a page that was shown: the whole page goes
        answer = Response(status=401, headers={"HX-Redirect": "/login"})
    else:
        answer = redirect(f"/login?next={quote(request.full_path.rstrip('?'))}", 303)
    answer.headers["Cache-Control"] = "no-store"
    return answer
