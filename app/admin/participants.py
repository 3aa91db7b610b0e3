"""/admin/participants: the services that the sagas call. An operator pauses and resumes them."""

import time
from collections.abc import Sequence

from flask import flash, redirect, render_template, request, url_for
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
from app.views.participants import Health, Queue, health, troubled, waiting
from app.views.titles import participant_title

blueprint = pages("participants")
#: Seconds that the strip on every page is cached, because each open page requests it every 2 s.
CACHE_S = 1.0
#: Key of the request's environment for the participants in trouble that all parts of its page show.
_READING = "saga.participants"


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
    return _done(f"{participant_title(name)} is paused: no calls are sent to it. Sagas that need it wait.")


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
    if acting_tenant() is not None:
        return []
    if _READING in request.environ:
        shown: list[Health] = request.environ[_READING]
        return shown
    cached = services().troubled
    if cached is not None and time.monotonic() - cached[0] <= CACHE_S:
        return cached[1]
    try:
        return _read()
    except SQLAlchemyError:
        return []


def queues() -> Sequence[Queue]:
    """Return the sagas that wait for each participant now, see `waiting`. The strip of the same page counts them so."""
    parts = services()
    found = waiting(parts.registry, parts.participant_store)
    if acting_tenant() is None:
        _read(found)
    return found


def _read(known: Sequence[Queue] | None = None) -> list[Health]:
    """Read the participants in trouble, for this request and for the next ones. known: the sagas that wait."""
    parts = services()
    found = troubled(parts.registry, parts.participant_store, known)
    parts.troubled, request.environ[_READING] = (time.monotonic(), found), found
    return found


def _done(words: str) -> Response:
    services().troubled = None
    flash(words, "done")
    return redirect(url_for("admin_participants.show"), 303)
