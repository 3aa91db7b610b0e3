"""/admin/parked: the incoming messages that could not start a saga (dead letters)."""

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.access.permissions import Role, keeps_to_tenant, needs
from app.access.principal import principal
from app.admin.forms import form_reason
from app.admin.pages import pages
from app.errors import NotFoundError, ProblemError
from app.events import dead_letters
from app.store.dead_letters import PARKED_ID

blueprint = pages("parked")


@blueprint.get("/admin/parked")
@keeps_to_tenant
@needs(Role.VIEWER)
def show() -> str:
    return render_template("admin/dead_letters.html", messages=dead_letters.oldest())


@blueprint.post(f"/admin/parked/{PARKED_ID}/retry")
@keeps_to_tenant
@needs(Role.OPERATOR)
def retry(parked_id: int) -> Response:
    try:
        started = dead_letters.retry(parked_id, principal().actor)
    except NotFoundError:
        raise
    except ProblemError as error:
        flash(f"Nothing was done: {error.detail}", "wrong")
        return redirect(url_for("admin_parked.show"), 303)
    return redirect(url_for("admin_saga.show", saga_id=started.id), 303)


@blueprint.post(f"/admin/parked/{PARKED_ID}/discard")
@keeps_to_tenant
@needs(Role.OPERATOR)
def discard(parked_id: int) -> Response:
    dead_letters.discard(parked_id, principal().actor, form_reason())
    flash("The message is discarded; the audit trail keeps its text.", "done")
    return redirect(url_for("admin_parked.show"), 303)
