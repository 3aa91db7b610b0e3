"""/admin/sagas: every saga, the newest first."""

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.access.needs import needs
from app.access.roles import Role
from app.admin.asked import ListQuery, asked
from app.admin.limits import ends
from app.admin.pages import pages
from app.api.listing import cursor_at
from app.api.parts import registry
from app.store.newest import Listed, newest

blueprint = pages("sagas")
PAGE = 50


@blueprint.get("/admin/sagas")
@needs(Role.VIEWER)
def show() -> str | Response:
    """List sagas. One that is looked for by its whole id, or is the only one that is meant, is shown at once."""
    query = asked(ListQuery())
    stuck = ("stuck",) if query["stuck"] else ()
    statuses = (query["status"],) if query["status"] else stuck
    listed = Listed(definitions=query["type"], statuses=statuses, states=query["state"], words=query["q"] or None)
    found = newest(listed, ends(registry()), PAGE + 1, query["after"])
    if query["q"] and len(found) == 1 and query["after"] is None and str(found[0].id).startswith(query["q"].lower()):
        return redirect(url_for("admin_saga.show", saga_id=found[0].id))
    following = cursor_at(found[PAGE - 1].created_at, found[PAGE - 1].id) if len(found) > PAGE else None
    return render_template(
        "admin/sagas.html", query=query, sagas=found[:PAGE], following=following, types=registry().names
    )
