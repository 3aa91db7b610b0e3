"""/admin/users: the users and their roles."""

from collections.abc import Callable
from functools import partial

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import user_accounts
from app.access.permissions import Role, needs, role_named
from app.access.principal import principal
from app.access.user_accounts import SHORTEST
from app.admin.error_pages import as_pages
from app.errors import InvalidError, ProblemError
from app.services import services
from app.store.login_attempts import KEPT_DAYS

#: Largest number of rows of failed sign-ins on the page.
FAILURES = 50
blueprint = as_pages(Blueprint("users", __name__, url_prefix="/admin/users"))


@blueprint.get("")
@needs(Role.ADMIN)
def index() -> Response:
    return _page()


@blueprint.post("")
@needs(Role.ADMIN)
def add() -> Response:
    name = request.form.get("name", "").strip()
    password = request.form.get("password", "")
    same_person, tenant = bool(request.form.get("same_person")), request.form.get("tenant", "").strip()

    def add_user() -> None:
        user_accounts.add_user(
            services().users, name, _role(), password, principal().actor, same_person=same_person, must_change=True,
            tenant=tenant,
        )  # fmt: skip

    return _done(add_user, f"{name} may sign in now.")


@blueprint.post("/<name>/role")
@needs(Role.ADMIN)
def change_role(name: str) -> Response:
    def change() -> None:
        services().users.change_role(name, _role().word, principal().actor)

    return _done(change, f"{name} has another role now.")


@blueprint.post("/<name>/password")
@needs(Role.ADMIN)
def change_password(name: str) -> Response:
    password = request.form.get("password", "")
    sender = principal()

    def change() -> None:
        user_accounts.change_password(services().users, name, password, sender.actor, must_change=name != sender.name)

    return _done(change, f"{name} must sign in with the new password now, and then choose another one.")


@blueprint.post("/<name>/second-factor/remove")
@needs(Role.ADMIN)
def remove_factor(name: str) -> Response:
    """Remove the second factor of a person who has lost it."""
    change = partial(services().users.change_factor, name, None, principal().actor)
    return _done(change, f"{name} signs in with the password alone now.")


@blueprint.post("/<name>/remove")
@needs(Role.ADMIN)
def remove(name: str) -> Response:
    return _done(lambda: services().users.remove(name, principal().actor), f"{name} may not sign in any more.")


def _done(change: Callable[[], None], success: str) -> Response:
    try:
        change()
    except ProblemError as error:
        return _page(error)
    flash(success, "done")
    return redirect(url_for("users.index"), 303)


def _role() -> Role:
    try:
        return role_named(request.form.get("role", ""))
    except KeyError:
        raise InvalidError(("/role", f"Give one of {', '.join(role.word for role in Role)}.")) from None


def _page(error: ProblemError | None = None) -> Response:
    given = request.form.get("name", "") if error else ""
    page = render_template(
        "admin/users.html", users=services().users.all(), roles=Role, shortest=SHORTEST, error=error, given=given,
        failures=services().login_attempts.failures(FAILURES), kept_days=KEPT_DAYS,
    )  # fmt: skip
    answer = make_response(page, error.status if error else 200)
    answer.headers.update(error.headers if error else {})
    return answer
