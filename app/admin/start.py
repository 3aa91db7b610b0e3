"""/admin/start: start a saga from a form that is made from its table, also again with the data of an earlier saga."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from flask import make_response, redirect, render_template, request, url_for
from marshmallow import RAISE, Schema, fields
from werkzeug.wrappers import Response

from app.access.limits import require_start
from app.access.permissions import Role, keeps_to_tenant, needs
from app.access.principal import principal
from app.admin.field_forms import entered, inputs, texts
from app.admin.forms import form_of, form_reason, query_of
from app.admin.pages import pages
from app.errors import ConflictError, InvalidError, NotFoundError, ProblemError, StillRunningError
from app.services import services
from app.store import queries
from app.store.data_keys import ErasedError
from app.store.models import SagaRow
from app.views.masking import shown
from app.views.saga_data import data_schema
from app.views.validation import LONGEST_REASON, checked_key, load
from machines.registry import UnknownSagaError
from machines.saga import Saga
from machines.secrets import holds_secret

blueprint = pages("start")
#: Seconds that a start waits for its saga; afterwards the saga's page shows the progress.
WAIT_S = 1.5
_DATA = "data."


class _Query(Schema):
    """again: the saga whose data fills the form."""

    class Meta:
        unknown = RAISE

    again = fields.UUID(load_default=None)


class _Form(_Query):
    """The form, apart from the data. key: the Idempotency-Key, so that a form that is sent twice starts one saga."""

    csrf_token = fields.String()
    reason = fields.String()
    key = fields.String(required=True)


@blueprint.get("/admin/start")
@needs(Role.VIEWER)
@keeps_to_tenant
def choose() -> str:
    """List the types of sagas that can be started."""
    return render_template("admin/start_types.html", tables=[services().registry.latest(n) for n in _types()])


@blueprint.get("/admin/start/<name>")
@needs(Role.OPERATOR)
@keeps_to_tenant
def show(name: str) -> Response:
    definition, again = _definition(name), query_of(_Query())["again"]
    values = _earlier(definition, again, masked=True).data if again else {}
    return _page(definition, again, values)


@blueprint.post("/admin/start/<name>")
@needs(Role.OPERATOR)
@keeps_to_tenant
def start(name: str) -> Response:
    """Start a saga and show its page. A wrong form is shown again with what is wrong; nothing is started then."""
    definition = _definition(name)
    given = {key.removeprefix(_DATA): text for key, text in request.form.items() if key.startswith(_DATA)}
    again = None
    try:
        form = form_of(_Form(), {key: text for key, text in request.form.items() if not key.startswith(_DATA)})
        again = form["again"]
        saga_id = _started(definition, form, given)
    except NotFoundError:
        raise
    except StillRunningError as error:
        saga_id = error.members["saga_id"]
    except ProblemError as error:
        return _page(definition, again, {}, texts(definition.data, given), error)
    return redirect(url_for("admin_saga.show", saga_id=saga_id), 303)


def _started(definition: Saga, form: Mapping[str, Any], given: Mapping[str, str]) -> UUID:
    """Store the saga, then start it together with its audit row. A repeated form finds its saga and goes on with it."""
    again, reason, actor = form["again"], form_reason(), principal().actor
    sent = entered(definition.data, given)
    if again is not None:
        earlier = _earlier(definition, again, masked=False)
        if earlier.erased_at is not None:
            raise ErasedError(earlier.id)
        sent = services().data_keys.opened(_secrets(definition, earlier.data), earlier.id) | sent
        reason = f"again, with the data of {again}: {reason}"[:LONGEST_REASON]
    data = load(data_schema(definition), sent)
    sagas = services().sagas
    saga = sagas.create(definition.name, data, checked_key(form["key"]), by=actor, sent=sent)
    try:
        sagas.execute(saga.id, WAIT_S, actor=actor, reason=reason)
    except ConflictError:
        if not saga.replayed:
            raise
    return saga.id


def _secrets(definition: Saga, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that the form does not show, because they are or hold a secret."""
    return {name: data[name] for name, field in definition.data.items() if holds_secret(field) and name in data}


def _types() -> list[str]:
    return [name for name in services().registry.names if principal().may_start(name)]


def _definition(name: str) -> Saga:
    """Return the newest table of a type. Raise NotFoundError, or ForbiddenError when the person may not start it."""
    try:
        definition = services().registry.latest(name)
    except UnknownSagaError:
        definition = None
    if definition is None or name not in services().registry.names:
        raise NotFoundError(f"there is no type {name}; choose one of {', '.join(services().registry.names)}")
    require_start(name)
    return definition


def _earlier(definition: Saga, saga_id: UUID, *, masked: bool) -> SagaRow:
    saga = queries.get(saga_id)
    if saga.definition != definition.name:
        raise InvalidError(("/again", f"This saga is of the type {saga.definition}, not {definition.name}."))
    return shown(services().registry, saga)[0] if masked else saga


def _page(
    definition: Saga, again: UUID | None, values: Mapping[str, Any], given: Mapping[str, str] | None = None,
    error: ProblemError | None = None,
) -> Response:  # fmt: skip
    """Return the form. given: the texts that were entered; None: the form is new. Each page has its own key."""
    page = render_template(
        "admin/start.html",
        saga=definition,
        again=again,
        inputs=inputs(definition.data, values, given=given, kept=again is not None),
        key=f"page-{uuid4()}",
        reason=request.form.get("reason", ""),
        error=error,
    )
    return make_response(page, error.status if error else 200)
