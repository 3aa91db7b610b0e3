"""/admin/clients: erase the personal data of one client."""

from flask import flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access.permissions import Role, needs
from app.access.principal import principal
from app.admin.forms import form_reason
from app.admin.pages import pages
from app.errors import InvalidError, ProblemError
from app.services import services
from app.store.erasure import Erased

blueprint = pages("clients")


@blueprint.get("/admin/clients")
@needs(Role.ADMIN)
def show() -> Response:
    return _page()


@blueprint.post("/admin/clients/forget")
@needs(Role.ADMIN)
def forget() -> Response:
    """Show what would be erased; erase it when the form says so."""
    client, tenant = request.form.get("client", "").strip(), request.form.get("tenant", "").strip()
    try:
        if not client:
            raise InvalidError(("/client", "Give the id of the client."))
        if not request.form.get("erase"):
            return _page(plan=services().erasure.plan(client, tenant))
        found = services().erasure.erase(client, tenant, principal().actor, form_reason())
    except ProblemError as error:
        return _page(error)
    left = f" {found.unmarked} sagas keep their data: their tables mark none as personal." if found.unmarked else ""
    flash(f"Client {client} is erased: {found.sagas} sagas.{left}", "done")
    return redirect(url_for("admin_clients.show"), 303)


def _page(error: ProblemError | None = None, plan: Erased | None = None) -> Response:
    page = render_template("admin/clients.html", error=error, plan=plan, given=request.form)
    return make_response(page, error.status if error else 200)
