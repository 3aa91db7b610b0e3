"""/admin/participants: the services that the sagas call. An operator pauses and resumes them."""

import time

from flask import flash, redirect, render_template, url_for
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from app.access.permissions import Role, needs
from app.access.principal import principal
from app.admin.forms import form_reason
from app.admin.pages import pages
from app.participant_settings.pace import spread_s
from app.services import services
from app.store.tenants import acting_tenant
from app.views import participants
from app.views.links import links_of_participant
from app.views.participants import Health, health, troubled

blueprint = pages("participants")
#: Seconds that the strip on every page is cached, because each open page requests it every 2 s.
CACHE_S = 1.0


@blueprint.get("/admin/participants")
@needs(Role.VIEWER)
def show() -> str:
    parts = services()
    found = health(parts.registry, parts.participant_store)
    links = {each.name: links_of_participant(parts.links, each.name) for each in found}
    go_on_s = {each.name: spread_s(parts.participants.get(each.name), each.waiting) for each in found}
    return render_template("admin/participants.html", participants=found, links=links, go_on_s=go_on_s)


@blueprint.post("/admin/participants/<name>/pause")
@needs(Role.OPERATOR)
def pause(name: str) -> Response:
    participants.pause(services(), name, principal().actor, form_reason())
    return _done(f"{name} is paused: no calls are sent to it. Sagas that need it wait.")


@blueprint.post("/admin/participants/<name>/resume")
@needs(Role.OPERATOR)
def resume(name: str) -> Response:
    due = participants.resume(services(), name, principal().actor, form_reason())
    return _done(participants.resumed_words(name, due))


def strip() -> list[Health]:
    """Return the participants in trouble for the head of every page, at most CACHE_S old.

    Return none while the database cannot be read: the page then shows that instead. Return none for a tenant, because
    the sentences count the sagas of all tenants.
    """
    parts = services()
    if acting_tenant() is not None:
        return []
    cached = parts.troubled
    if cached is None or time.monotonic() - cached[0] > CACHE_S:
        try:
            cached = parts.troubled = (time.monotonic(), troubled(parts.registry, parts.participant_store))
        except SQLAlchemyError:
            return []
    return cached[1]


def _done(words: str) -> Response:
    services().troubled = None
    flash(words, "done")
    return redirect(url_for("admin_participants.show"), 303)
