"""/admin/sagas: every saga, the newest first."""

from typing import Any

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.access.needs import needs
from app.access.roles import Role
from app.admin.asked import ListQuery, asked
from app.admin.limits import ends
from app.admin.pages import pages
from app.api.listing import cursor_at
from app.services import services
from app.store.finding import id_prefix
from app.store.newest import Listed, newest

blueprint = pages("sagas")
PAGE = 50


@blueprint.get("/admin/sagas")
@needs(Role.VIEWER)
def show() -> str | Response:
    """List sagas. One that is looked for by its id, or the beginning of that, or its order is shown at once."""
    query = asked(ListQuery())
    stuck = ("stuck",) if query["stuck"] else ()
    listed = Listed(
        definitions=query["type"], statuses=query["status"] or stuck, states=query["state"], words=query["q"] or None
    )
    found = newest(listed, ends(services().registry), PAGE + 1, query["after"])
    if len(found) == 1 and query["after"] is None and _named(query["q"], found[0]):
        return redirect(url_for("admin_saga.show", saga_id=found[0].id))
    following = cursor_at(found[PAGE - 1].created_at, found[PAGE - 1].id) if len(found) > PAGE else None
    return render_template(
        "admin/sagas.html", query=query, sagas=found[:PAGE], following=following, types=services().registry.names
    )


def _named(words: str, row: Any) -> bool:
    """Tell whether it is this one saga that was looked for, and not whoever it belongs to."""
    digits = id_prefix(words)
    return bool(words) and (words == row.order_ref or bool(digits and row.id.hex.startswith(digits)))
