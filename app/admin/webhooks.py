"""/admin/webhooks: the messages to webhooks that were not delivered (dead letters)."""

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.access.permissions import Role, keeps_to_tenant, needs
from app.access.principal import principal
from app.admin.forms import form_reason
from app.admin.pages import pages
from app.errors import NotFoundError, ProblemError
from app.events import webhook_letters
from app.store.deliveries import DELIVERY_ID

blueprint = pages("webhooks")


@blueprint.get("/admin/webhooks")
@needs(Role.VIEWER)
@keeps_to_tenant
def show() -> str:
    return render_template("admin/webhooks.html", letters=webhook_letters.dead())


@blueprint.post(f"/admin/webhooks/{DELIVERY_ID}/redeliver")
@needs(Role.OPERATOR)
@keeps_to_tenant
def redeliver(delivery_id: int) -> Response:
    reason = form_reason()
    try:
        webhook_letters.redeliver(delivery_id, principal().actor, reason)
    except NotFoundError:
        raise
    except ProblemError as error:
        flash(f"Nothing was done: {error.detail}", "wrong")
    else:
        flash(f"Message {delivery_id} is sent again.", "done")
    return redirect(url_for("admin_webhooks.show"), 303)


@blueprint.post(f"/admin/webhooks/{DELIVERY_ID}/discard")
@needs(Role.OPERATOR)
@keeps_to_tenant
def discard(delivery_id: int) -> Response:
    webhook_letters.discard(delivery_id, principal().actor, form_reason())
    flash("The message is discarded; the audit trail keeps what it was about.", "done")
    return redirect(url_for("admin_webhooks.show"), 303)
