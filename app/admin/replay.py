"""/admin/sagas/<id>/replay: a saga's journal, run again in memory, and what another outcome would have changed."""

from uuid import UUID

from flask import render_template, request

from app.access.permissions import Role, needs
from app.admin.pages import pages
from app.services import services
from app.store import queries
from app.views.replay import replayed, side_by_side

blueprint = pages("replay")


@blueprint.get("/admin/sagas/<uuid:saga_id>/replay")
@needs(Role.VIEWER)
def show(saga_id: UUID) -> str:
    """Show the replay; `call` and `outcome` of the query change one outcome. Nothing is called or stored."""
    saga = queries.get(saga_id)
    call, outcome = request.args.get("call", ""), request.args.get("outcome", "")
    change = f"{call}={outcome}" if call or outcome else None
    found = replayed(services().registry, saga, what_if=change)
    pairs = side_by_side(found.way, found.what_if.way) if found.what_if else []
    return render_template("admin/replay.html", saga=saga, replay=found, pairs=pairs, call=call, outcome=outcome)
