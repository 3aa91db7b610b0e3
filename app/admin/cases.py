"""The case of a saga: take it, note, snooze it; and /admin/handover, the list for the next shift."""

from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup
from marshmallow import RAISE, Schema, fields
from werkzeug.wrappers import Response

from app.access.permissions import Role, keeps_to_tenant, needs
from app.access.principal import principal
from app.admin.forms import form_of, form_reason
from app.admin.pages import pages
from app.admin.times import time_element, zone
from app.services import services
from app.store import cases, queries
from app.store.database import db
from app.store.lists import SagaFilter
from app.store.unknown_effects import still_unknown
from app.views.cases import check_snooze
from app.views.moments import Moment
from app.views.states import attention_of

blueprint = pages("cases")


class _Taking(Schema):
    """The form that takes a case or gives it back. seen: who looked after the saga on the page; "": nobody."""

    class Meta:
        unknown = RAISE

    csrf_token = fields.String()
    seen = fields.String(load_default="")


class _Snoozing(Schema):
    """The form that snoozes a saga; the reason is read by `form_reason`."""

    class Meta:
        unknown = RAISE

    csrf_token = fields.String()
    reason = fields.String()
    until = Moment(required=True)


@blueprint.get("/admin/handover")
@needs(Role.VIEWER)
@keeps_to_tenant
def handover() -> str:
    """Show the cases that the next shift must know: taken, noted or snoozed, and those that nobody has taken."""
    registry = services().registry
    groups = attention_of(registry).groups(SagaFilter(statuses=("stuck",), case=("free", "")))
    return render_template(
        "admin/handover.html",
        cases=cases.unsettled(still_unknown(registry)),
        free=groups[0].total if groups else 0,
        now=queries.now(),
    )


@blueprint.post("/admin/sagas/<uuid:saga_id>/case/take")
@needs(Role.OPERATOR)
def take(saga_id: UUID) -> Response:
    cases.take(db.engine, queries.get(saga_id), principal().actor, _seen())
    return _back(saga_id, "You look after this saga.")


@blueprint.post("/admin/sagas/<uuid:saga_id>/case/give-back")
@needs(Role.OPERATOR)
def give_back(saga_id: UUID) -> Response:
    cases.give_back(db.engine, queries.get(saga_id), principal().actor, _seen())
    return _back(saga_id, "Nobody looks after this saga now.")


@blueprint.post("/admin/sagas/<uuid:saga_id>/case/note")
@needs(Role.OPERATOR)
def note(saga_id: UUID) -> Response:
    cases.note(db.engine, queries.get(saga_id), principal().actor, form_reason())
    return _back(saga_id, "The note is recorded.")


@blueprint.post("/admin/sagas/<uuid:saga_id>/case/snooze")
@needs(Role.OPERATOR)
def snooze(saga_id: UUID) -> Response:
    """Keep the saga off the list of stuck sagas until a time. Alerts and counts keep it."""
    saga, until = queries.get(saga_id), form_of(_Snoozing(), request.form)["until"]
    check_snooze(until)
    cases.snooze(db.engine, saga, principal().actor, until, form_reason())
    words = Markup("The saga is off the list of stuck sagas until {} {}.")
    return _back(saga_id, words.format(time_element(until, "minute"), zone()))


@blueprint.post("/admin/sagas/<uuid:saga_id>/case/wake")
@needs(Role.OPERATOR)
def wake(saga_id: UUID) -> Response:
    cases.snooze(db.engine, queries.get(saga_id), principal().actor, None, "put back on the list")
    return _back(saga_id, "The saga is on the list of stuck sagas again.")


def _seen() -> str | None:
    return form_of(_Taking(), request.form)["seen"] or None


def _back(saga_id: UUID, words: str) -> Response:
    flash(words, "done")
    return redirect(url_for("admin_saga.show", saga_id=saga_id, _anchor="case"), 303)
