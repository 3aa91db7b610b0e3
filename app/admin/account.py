"""/admin/account: the own password of the signed-in person, and the sessions."""

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import user_accounts
from app.access.address import counted_address
from app.access.permissions import Role, needs
from app.access.principal import principal
from app.access.sessions import idle_limit_s, present_session
from app.access.user_accounts import SHORTEST
from app.admin.error_pages import as_pages
from app.errors import BusyError, InvalidError, ProblemError
from app.services import services
from app.store.accounts import ATTEMPT_WINDOW_S

blueprint = as_pages(Blueprint("account", __name__, url_prefix="/admin/account"))


@blueprint.get("")
@needs(Role.VIEWER)
def index() -> Response:
    return _page()


@blueprint.post("/password")
@needs(Role.VIEWER)
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
def end_others() -> Response:
    services().users.end_others(principal().name, present_session() or "")
    flash("Your other sessions have ended.", "done")
    return redirect(url_for("account.index"), 303)


def _check_present_password(name: str, password: str) -> None:
    """Raise InvalidError for a wrong password. Wrong ones count as failed sign-ins: a stolen session cannot guess."""
    attempts, address = services().login_attempts, counted_address()
    if not attempts.register(name, address):
        raise BusyError("too many wrong passwords; wait a minute", retry_after_s=round(ATTEMPT_WINDOW_S))
    user = services().users.find(name)
    if not user_accounts.matches(password, user.password if user else None):
        raise InvalidError(("/present", "This is not your present password."))
    attempts.forgive(name, address)


def _page(error: ProblemError | None = None) -> Response:
    page = render_template(
        "admin/account.html",
        sessions=services().users.sessions(principal().name, idle_limit_s()),
        present=present_session(),
        shortest=SHORTEST,
        error=error,
    )
    answer = make_response(page, error.status if error else 200)
    answer.headers.update(error.headers if error else {})
    return answer
