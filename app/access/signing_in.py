"""/login and /logout."""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access.needs import OPEN, needs
from app.access.passwords import matches
from app.access.sessions import sign_in, sign_out, users

blueprint = Blueprint("access", __name__)
HOME = "/admin"


@blueprint.get("/login")
@needs(OPEN)
def show_login() -> str:
    return render_template("access/login.html", next=_next(request.args.get("next", "")))


@blueprint.post("/login")
@needs(OPEN)
def login() -> Response | tuple[str, int]:
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    user = users().find(name)
    if not matches(password, user.password if user else None):
        wanted = _next(request.form.get("next", ""))
        return render_template("access/login.html", next=wanted, name=name, wrong="Name or password is wrong."), 401
    sign_in(name)
    return redirect(_next(request.form.get("next", "")), 303)


@blueprint.post("/logout")
@needs(OPEN)
def logout() -> Response:
    sign_out()
    return redirect(url_for("access.show_login"), 303)


def _next(wanted: str) -> str:
    """Go on to a page of ours alone: neither //elsewhere nor /\\elsewhere, which browsers take for the same."""
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if ours else HOME
