"""/admin/sagas/<id>: one saga, and what may be done with it."""

from uuid import UUID

from flask import Response, make_response, render_template, request

from app.access.needs import needs
from app.access.principal import principal
from app.access.roles import Role
from app.admin.acting import Said, act_on
from app.admin.asked import Action, form
from app.admin.pages import pages
from app.admin.story import story
from app.errors import ConflictError, InvalidError, NotFoundError
from app.services import services
from app.store import queries
from app.store.database import db
from app.store.loading import table_of
from app.store.models import SagaRow

blueprint = pages("saga")
#: How long an action's page waits for what comes of it; then the page follows.
WAIT_S = 1.5
_REPLY = "reply."


@blueprint.get("/admin/sagas/<uuid:saga_id>")
@needs(Role.VIEWER)
def show(saga_id: UUID) -> str:
    return _page(_saga(saga_id))


@blueprint.post("/admin/sagas/<uuid:saga_id>")
@needs(Role.OPERATOR)
def act(saga_id: UUID) -> Response:
    """Do what was asked for, and tell what came of it: 200, or 409 when the saga is not where it was seen."""
    _saga(saga_id)
    given = {name: value for name, value in request.form.items() if not name.startswith(_REPLY)}
    reply = {name.removeprefix(_REPLY): value for name, value in request.form.items() if name.startswith(_REPLY)}
    try:
        asked = form(Action(), given)
        said, status = act_on(services().sagas, saga_id, principal().actor, asked, reply, WAIT_S), 200
    except ConflictError as error:
        said, status = Said(kind="conflict", words=f"Nothing was done: {error.detail}."), error.status
    except InvalidError as error:
        wrong = " ".join(f"{item['pointer'].strip('/')}: {item['detail']}" for item in error.members["errors"])
        said, status = Said(kind="wrong", words=f"Nothing was done. {wrong}"), error.status
    db.session.rollback()  # look again: the engine has written past this session
    return make_response(_page(_saga(saga_id), said), status)


def _page(saga: SagaRow, said: Said | None = None) -> str:
    journal = queries.journal(saga.id)
    definition = table_of(services().registry, saga, journal)
    told = story(definition, saga, journal) if definition else None
    return render_template(
        "admin/saga.html",
        saga=saga,
        story=told,
        moments=queries.moments(saga.id),
        journal=journal,
        events=queries.told(saga.id),
        unpublished=queries.unpublished(saga.id),
        said=said,
    )


def _saga(saga_id: UUID) -> SagaRow:
    saga = queries.find(saga_id)
    if saga is None:
        raise NotFoundError(f"there is no saga {saga_id}")
    return saga
