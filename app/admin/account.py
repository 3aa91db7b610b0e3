"""/admin/account: the password, the second factor and the sessions of the signed-in person."""

from flask import Blueprint, flash, make_response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from app.access import user_accounts
from app.access.address import client_address, counted_address
from app.access.permissions import Role, keeps_to_tenant, needs
from app.access.principal import principal
from app.access.second_factor import address, matching_step, new_seed, written
from app.access.sessions import factor_secret, idle_limit_s, present_session
from app.access.user_accounts import SHORTEST
from app.admin.error_pages import as_pages
from app.errors import BusyError, ConflictError, InvalidError, ProblemError
from app.services import services
from app.store.login_attempts import ATTEMPT_WINDOW_S
from app.telemetry.refusals import PERSON

blueprint = as_pages(Blueprint("account", __name__, url_prefix="/admin/account"))
#: Name of the text in the session from which a second factor is derived that is being set up.
_SEED = "factor_seed"


@blueprint.get("")
@needs(Role.VIEWER)
@keeps_to_tenant
def index() -> Response:
    return _page()


@blueprint.post("/password")
@needs(Role.VIEWER)
@keeps_to_tenant
def change_password() -> Response:
    """Change the own password. The other sessions end."""
    sender = principal()
    try:
        _check_present_password(sender.name, request.form.get("present", ""))
        new = request.form.get("password", "")
        if new == request.form.get("present", ""):
            raise InvalidError(("/password", "Give another password than the present one."))
        user_accounts.change_password(services().users, sender.name, new, sender.actor, keep=present_session())
    except ProblemError as error:
        return _page(error)
    flash("You have another password now; your other sessions have ended.", "done")
    return redirect(url_for("account.index"), 303)


@blueprint.post("/sessions/end")
@needs(Role.VIEWER)
@keeps_to_tenant
def end_others() -> Response:
    services().users.end_others(principal().name, present_session() or "")
    flash("Your other sessions have ended.", "done")
    return redirect(url_for("account.index"), 303)


@blueprint.post("/second-factor/new")
@needs(Role.VIEWER)
@keeps_to_tenant
def new_factor() -> Response:
    """Show the secret of a new second factor. It counts after the person has sent a code of it."""
    try:
        _check_present_password(principal().name, request.form.get("present", ""))
    except ProblemError as error:
        return _page(error)
    seed = session[_SEED] = new_seed()
    return _page(seed=seed)


@blueprint.post("/second-factor")
@needs(Role.VIEWER)
@keeps_to_tenant
def set_up_factor() -> Response:
    sender, seed = principal(), str(session.get(_SEED, ""))
    secret = factor_secret(sender.name, seed)
    if not seed or matching_step(secret, request.form.get("code", "").replace(" ", "")) is None:
        return _page(InvalidError(("/code", "This is not the present code of the app.")), seed)
    services().users.change_factor(sender.name, seed, sender.actor)
    session.pop(_SEED)
    flash("From now on you sign in with a code of the app, too.", "done")
    return redirect(url_for("account.index"), 303)


@blueprint.post("/second-factor/remove")
@needs(Role.VIEWER)
@keeps_to_tenant
def remove_factor() -> Response:
    sender = principal()
    try:
        _check_present_password(sender.name, request.form.get("present", ""))
    except ProblemError as error:
        return _page(error)
    services().users.change_factor(sender.name, None, sender.actor)
    flash("You sign in with your password alone now.", "done")
    return redirect(url_for("account.index"), 303)


def _check_present_password(name: str, password: str) -> None:
    """Raise InvalidError for a wrong password. Wrong ones count as failed sign-ins: a stolen session cannot guess."""
    attempts, counted_as = services().login_attempts, counted_address()
    if not attempts.register(name, counted_as):
        raise BusyError("too many wrong passwords; wait a minute", retry_after_s=round(ATTEMPT_WINDOW_S))
    user = services().users.find(name)
    if user is None or user.issuer is not None:
        raise ConflictError("you have no password here, because you sign in with your organisation's account")
    if not user_accounts.matches(password, user.password):
        services().refused_senders.count(PERSON)
        attempts.failed(name, client_address())
        raise InvalidError(("/present", "This is not your present password."))
    attempts.forgive(name, counted_as)


def _page(error: ProblemError | None = None, seed: str = "") -> Response:
    """Return the page. seed: of a second factor that is being set up."""
    name = principal().name
    user, secret = services().users.find(name), factor_secret(name, seed) if seed else None
    page = render_template(
        "admin/account.html",
        has_factor=user is not None and user.factor_seed is not None,
        secret=secret and written(secret),
        address=secret and address(secret, name),
        sessions=services().users.sessions(name, idle_limit_s()),
        present=present_session(),
        shortest=SHORTEST,
        error=error,
    )
    answer = make_response(page, error.status if error else 200)
    answer.headers.update(error.headers if error else {})
    return answer
