"""The checks before every request: the sender, the permission that the view needs, and the CSRF token of a form."""

from urllib.parse import quote, urlsplit

from flask import Flask, current_app, g, redirect, request, session, url_for
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.wrappers import Response

from app.access.address import client_ip
from app.access.browser_policy import prefers_page
from app.access.limits import require_within_limits
from app.access.permissions import ByUrl, Need, Open, Role, Scope, need_of
from app.access.principal import ANYBODY, NOBODY, Principal, principal
from app.access.sessions import signed_in
from app.access.site import Site
from app.config import Config
from app.errors import ForbiddenError, ForgedError, NotFoundError, UnauthenticatedError
from app.services import services
from app.store.tenants import act_for
from app.telemetry.refusals import PROGRAM

_SAFE = ("GET", "HEAD", "OPTIONS")
_csrf = CSRFProtect()
#: The name that Flask-WTF gives the CSRF token in the session and in the form.
_CSRF_FIELD = "csrf_token"
#: Endpoints for a person who must choose another password first.
_WITHOUT_CHANGE = frozenset({"account.index", "account.change_password"})
#: Header of the answers to an API key that expires soon, with the time at which it expires.
EXPIRES_HEADER = "Saga-Key-Expires"
#: Largest size of a form in bytes: of the form of /login, which anybody can send, and of a signed-in person's form.
LARGEST_OPEN_FORM, LARGEST_FORM = 4096, 64 * 1024


def install(app: Flask, config: Config) -> None:
    # `_check` decides which requests need the CSRF token. A request with an API key and without a cookie needs none,
    # because a page of another site does not know the key.
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None)
    app.config["API_AUTH"] = config.api_auth
    app.config["SITE"] = Site(config)
    _csrf.init_app(app)
    app.before_request(_check)
    app.after_request(_give_notice)
    app.teardown_request(_act_for_all)


def _check() -> Response | None:
    endpoint = request.endpoint
    if endpoint is None or request.method == "OPTIONS":  # an unknown path, or a CORS preflight
        return None
    _check_path()
    g.principal = NOBODY
    need = need_of(endpoint, current_app.view_functions[endpoint])
    match need:
        case Scope():
            current_app.config["SITE"].check_host()
            g.principal = sender = _api_sender()
            allowed = need in sender.scopes
        case Role():
            current_app.config["SITE"].check_host()
            if _lost_session() and (back := _back_to_form()) is not None:  # signed out in another tab
                return back
            _check_session()
            g.principal = sender = signed_in() or NOBODY
            if sender is not NOBODY:
                _check_form(LARGEST_FORM)
            allowed = sender.has(need)
        case Open():
            _check_session()
            _check_form(LARGEST_OPEN_FORM)
            return None
        case ByUrl():  # cookies have no effect here, so no page of another site can misuse them
            return None
        case None:
            raise ForbiddenError("this page declares no permission, so nobody may see it")
    if not allowed:
        return _refused(need, sender)
    _keep_to_limits(need, sender)
    return _to_new_password(sender, endpoint)


def _check_path() -> None:
    if any("\x00" in str(value) for value in (request.view_args or {}).values()):
        raise NotFoundError("a path must not contain a NUL character")  # PostgreSQL stores no NUL


def _keep_to_limits(need: Scope | Role, sender: Principal) -> None:
    """Act for the tenant of the sender from now on, and check the limits of the sender."""
    act_for(sender.tenant)
    if need in sender.limits or sender.tenant is not None:
        require_within_limits(need, current_app.view_functions[str(request.endpoint)], request.view_args or {})


def _act_for_all(_error: BaseException | None) -> None:
    """Forget the tenant of the request, because its thread serves other requests."""
    act_for(None)


def _to_new_password(sender: Principal, endpoint: str) -> Response | None:
    """Send a person whose password an admin has set to the page that changes it; None for everybody else."""
    if not sender.must_change or endpoint in _WITHOUT_CHANGE:
        return None
    if request.method in _SAFE and "HX-Request" not in request.headers:
        return redirect(url_for("account.index"), 303)
    raise ForbiddenError("choose a password of your own first, at /admin/account")


def _give_notice(answer: Response) -> Response:
    """Add the time at which the API key of the request expires to the answer, if that is soon."""
    if moment := principal().key_expires:
        answer.headers[EXPIRES_HEADER] = moment
    return answer


def _api_sender() -> Principal:
    auth = current_app.config["API_AUTH"]
    secret = _key_sent() if auth else None
    if secret is not None:
        return _of_key(secret)
    if not auth and request.method not in _SAFE and "X-CSRFToken" not in request.headers:
        current_app.config["SITE"].check_origin()
        return ANYBODY
    person = signed_in()
    if person:
        # A browser adds the session cookie by itself, so every change also needs the CSRF token.
        _check_form(None)
    return person or (NOBODY if auth else ANYBODY)


def _of_key(secret: str) -> Principal:
    try:
        return services().api_keys.principal(secret, client_ip)
    except UnauthenticatedError:
        services().refused_senders.count(PROGRAM)
        raise


def _key_sent() -> str | None:
    sent = request.headers
    if key := sent.get("X-API-Key"):
        return key
    scheme, _, secret = sent.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def _lost_session() -> bool:
    """Return True for a form whose sender has no session."""
    return request.method not in _SAFE and _CSRF_FIELD not in session


def _check_session() -> None:
    """Refuse a form before its body is read if its sender has no session. Every form page starts a session."""
    if _lost_session():
        raise ForgedError("The CSRF session token is missing; reload the page and send its form")


def _check_form(largest: int | None) -> None:
    """Check the CSRF token. largest: largest size of the form in bytes; None: the limit that all requests have."""
    if request.method in _SAFE:
        return
    if largest is not None:
        request.max_content_length = largest
    try:
        _csrf.protect()
    except CSRFError as error:
        raise ForgedError(f"{error.description}; reload the page and send its form") from None


def _refused(need: Need, sender: Principal) -> Response:
    if sender is not NOBODY:
        permission = f"the role {need.word}" if isinstance(need, Role) else f"the scope {need}"
        raise ForbiddenError(f"this needs {permission}, which {sender.name} does not have")
    if request.method in _SAFE and (isinstance(need, Role) or prefers_page()):
        return _to_sign_in()
    if isinstance(need, Role):
        if (back := _back_to_form()) is None:
            raise UnauthenticatedError("sign in at /login first")
        return back
    raise UnauthenticatedError("this needs an API key: send it as X-API-Key, or as Authorization: Bearer")


def _back_to_form() -> Response | None:
    """Return the way to /login and back to the page whose form was sent, which keeps what was typed; None: no page."""
    page = form_page()
    return _to_sign_in(page) if page and "HX-Request" not in request.headers else None


def form_page() -> str:
    """Return the path of the page whose form was sent; "" when it is no page of this service."""
    page = urlsplit(request.referrer or "")
    if page.netloc != request.host or page.path.startswith("//"):
        return ""
    return f"{page.path}?{page.query}" if page.query else page.path


def _to_sign_in(then: str = "") -> Response:
    """Send the person to /login, and afterwards to the path `then`; default: the path of the request."""
    if "HX-Request" in request.headers:  # htmx requested a part of a page: admin.js loads the whole page again
        answer = Response(status=401)
    else:
        then = then or request.script_root + request.full_path.rstrip("?")
        answer = redirect(f"{url_for('access.show_login')}?next={quote(then)}", 303)
    answer.headers["Cache-Control"] = "no-store"
    return answer
