"""/admin/sagas/<id>: one saga and the actions on it."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any
from uuid import UUID

from flask import Response, make_response, render_template, request, url_for

from app.access.limits import require_start
from app.access.permissions import Role, needs
from app.access.principal import principal
from app.admin import actions
from app.admin.actions import Notice
from app.admin.exchange import exchange_of
from app.admin.export import took_s
from app.admin.field_forms import inputs
from app.admin.forms import Action, Asked, Checked, SagaQuery, form_of, form_reason, query_of
from app.admin.pages import pages
from app.admin.saga_details import SagaDetails, saga_details
from app.admin.timeline import timeline
from app.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, field_words
from app.services import services
from app.store import cases, presence, queries
from app.store.database import db
from app.store.loading import table_of
from app.store.models import SagaRow
from app.store.releases import releases_of
from app.views.child_rows import item_words, part_words
from app.views.effects import FOUND
from app.views.links import links_of_call, links_of_saga
from app.views.masking import shown
from app.views.past import past_of
from app.views.questions import ask, askable_step, last_question
from app.views.summary import unknown_effects
from app.views.tickets import ticket
from app.views.titles import known_table
from app.views.unknown_effects import check
from app.views.waits import family_of
from machines.saga import Saga
from machines.statuses import FINISHED
from machines.waiting import Waiting

blueprint = pages("saga")
#: Seconds that an action waits for its result; afterwards the page shows the progress.
WAIT_S = 1.5
#: Most children on the page of their parent; the list of sagas has the others.
_CHILDREN = 50
_REPLY, _BODY = "reply.", "body."


@blueprint.get("/admin/sagas/<uuid:saga_id>")
@needs(Role.VIEWER)
def show(saga_id: UUID) -> str:
    """Show the saga.

    The query names the entry of the journal that is shown in full, and the entry after which the path is drawn;
    default: the last one.
    """
    return _page(queries.get(saga_id), query_of(SagaQuery()))


@blueprint.post("/admin/sagas/<uuid:saga_id>")
@needs(Role.OPERATOR)
def act(saga_id: UUID) -> Response:
    """Take an action and show its result: 200, or 409 when the saga has left the state that the operator saw."""
    saga = queries.get(saga_id)
    given = {name: value for name, value in request.form.items() if not name.startswith(_REPLY)}
    reply = {name.removeprefix(_REPLY): value for name, value in request.form.items() if name.startswith(_REPLY)}
    return _answered(
        saga_id,
        lambda: actions.act(services(), saga, principal().actor, form_of(Action(), given), reply, WAIT_S),
    )


@blueprint.post("/admin/sagas/<uuid:saga_id>/begin")
@needs(Role.OPERATOR)
def begin(saga_id: UUID) -> Response:
    """Start a saga that was created and not started. The answers are those of `act`."""
    saga = queries.get(saga_id)

    def begun() -> Notice:
        require_start(saga.definition)
        seen, actor, reason = saga.state, principal().actor, form_reason()
        moved = services().sagas.execute(saga_id, WAIT_S, actor=actor, reason=reason)
        return actions.notice_of(known_table(services().registry, saga), seen, moved)

    return _answered(saga_id, begun)


@blueprint.post("/admin/sagas/<uuid:saga_id>/signals/<name>")
@needs(Role.OPERATOR)
def send_signal(saga_id: UUID, name: str) -> Response:
    """Send the signal that the saga waits for. The answers are those of `act`."""
    given = {key.removeprefix(_BODY): value for key, value in request.form.items() if key.startswith(_BODY)}
    saga = queries.get(saga_id)
    return _answered(saga_id, lambda: actions.signal(services(), saga, name, given, principal(), WAIT_S))


@blueprint.post("/admin/sagas/<uuid:saga_id>/ask")
@needs(Role.OPERATOR)
def ask_participant(saga_id: UUID) -> Response:
    """Send the probe of the step in question, and show the answer. The saga does not move."""
    saga = queries.get(saga_id)

    def asked() -> Notice:
        form_of(Asked(), request.form)
        body = ask(services(), saga, principal().actor)
        answered = "It answered:" if body else "What it answered is below."
        return Notice(kind="done", text=f"The participant was asked, and nothing was changed. {answered}", body=body)

    return _answered(saga_id, asked)


@blueprint.post("/admin/sagas/<uuid:saga_id>/checked")
@needs(Role.OPERATOR)
def record_check(saga_id: UUID) -> Response:
    """Record what the operator has found out about the unknown effects of an ended saga. The saga does not move."""
    saga = queries.get(saga_id)

    def record() -> Notice:
        found = form_of(Checked(), request.form)["found"]
        check(services(), saga, principal().actor, found, form_reason())
        return Notice(kind="done", text=f"Recorded: {FOUND[found]}. The saga has left the list Still unknown.")

    return _answered(saga_id, record)


def _answered(saga_id: UUID, action: Callable[[], Notice]) -> Response:
    """Take an action, and return the saga's page with the result, or with the reason why nothing was done."""
    status = 200
    try:
        notice = action()
    except (ConflictError, ForbiddenError, NotFoundError) as error:
        notice, status = Notice(kind="conflict", text=f"Nothing was done: {error.detail}."), error.status
    except InvalidError as error:
        wrong = " ".join(f"{field_words(item['pointer'])}: {item['detail']}" for item in error.members["errors"])
        notice, status = Notice(kind="wrong", text=f"Nothing was done. {wrong}"), error.status
    db.session.rollback()  # the engine has changed the saga in another session: read it again
    return make_response(_page(queries.get(saga_id), notice=notice), status)


def _page(saga: SagaRow, query: Mapping[str, Any] = MappingProxyType({}), notice: Notice | None = None) -> str:
    saga, journal = shown(services().registry, saga, queries.journal(saga.id))
    definition, moments = table_of(services().registry, saga, journal), queries.moments(saga.id)
    family = family_of(definition, saga)
    details = saga_details(definition, saga, journal, moments.next_s, family) if definition else None
    unknown = saga.status in FINISHED and details is not None and unknown_effects(details.effects)
    step = askable_step(definition, saga, details.effects) if definition and details else None
    line = timeline(journal, details.attempts if details else {}, query.get("entry"))
    return render_template(
        "admin/saga.html",
        saga=saga,
        details=details,
        took_s=took_s(saga),
        links=links_of_saga(services().links, saga),
        links_of_call=partial(links_of_call, services().links, saga),
        left_unknown=unknown,
        checked=next((each.finding for each in unknown if each.finding), None) if unknown else None,
        findings=FOUND,
        **_case(saga, details),
        can_start=saga.parent_id is None and saga.definition in services().registry.names,
        asks_about=step,
        signal_inputs=inputs(details.at.waits.brings) if details and isinstance(details.at.waits, Waiting) else (),
        asked=last_question(definition, saga) if definition and step else None,
        moments=moments,
        timeline=line,
        # htmx would move the focus from the list to the entry at each answer.
        chosen_by_link=query.get("entry") is not None and "HX-Request" not in request.headers,
        past=past_of(definition, saga, journal, query.get("at"), details.effects)
        if definition and details and journal
        else None,
        exchange=exchange_of(saga, journal, line.chosen.attempt) if line and line.chosen.attempt else None,
        releases=releases_of({row.actor for row in journal}),
        **_children(saga.id),
        stuck_below=family.stuck,
        picture_version=_picture_version(definition, saga),
        events=queries.published_moves(saga.id),
        unpublished=queries.unpublished(saga.id),
        notice=notice,
        colleagues=presence.others(saga.id, principal().actor),
    )


def _case(saga: SagaRow, details: SagaDetails | None) -> dict[str, Any]:
    """Return what the page shows of the saga's case."""
    case, trail = cases.of([saga.id]).get(saga.id), cases.trail(saga.id)
    url = url_for("admin_saga.show", saga_id=saga.id, _external=True)
    summary, effects, money = (details.summary, details.effects, details.money) if details else ("", (), {})
    return {
        "case": case,
        "case_now": queries.now(),
        "case_trail": trail,
        "ticket": ticket(
            saga, url, summary, effects, case, trail, definition=details.saga if details else None, money=money
        ),
    }


def _children(saga_id: UUID) -> dict[str, Any]:
    """Return what the page shows of the sagas that the steps of a saga have started."""
    found = queries.first_children(saga_id, _CHILDREN)
    children = [row.SagaRow for row in found]
    return {
        "children": [shown(services().registry, child)[0] for child in children],
        "children_of_all": found[0] if found else None,
        "items": item_words(services().registry, children),
        "parts": {child.id: part_words(services().registry, child) for child in children},
    }


def _picture_version(definition: Saga | None, saga: SagaRow) -> int:
    """Return a number that changes when the saga, or a child in its picture, has moved."""
    counts = queries.descendant_counts(saga.id) if definition and definition.starts_others else ()
    return saga.version + sum(int(row.moves) for row in counts)
