"""/admin/sagas/<id>/compare: a saga beside another saga of its type."""

from typing import Any
from uuid import UUID

from flask import render_template
from marshmallow import RAISE, Schema, fields
from sqlalchemy import or_, select

from app.access.permissions import Role, needs
from app.admin.export import took_s
from app.admin.forms import query_of
from app.admin.pages import pages
from app.errors import InvalidError, NotFoundError
from app.services import services
from app.store import queries
from app.store.database import db
from app.store.lists import SagaFilter, newest
from app.store.models import SagaRow
from app.store.saga_ids import id_conditions
from app.store.search import id_digits
from app.views.compare import ABSENT, MOST_VALUES, Side, lines, times, values
from app.views.masking import shown
from app.views.states import final_states
from app.views.validation import storable
from machines.statuses import Status

blueprint = pages("compare")
#: Number of sagas that the page proposes: of those that completed last, and of all.
_PROPOSED = 5


class _Query(Schema):
    class Meta:
        unknown = RAISE

    other = fields.String(data_key="with", load_default="", validate=storable)


@blueprint.get("/admin/sagas/<uuid:saga_id>/compare")
@needs(Role.VIEWER)
def show(saga_id: UUID) -> str:
    """Show both sagas, or what this saga can be compared with. The database hides the sagas of other tenants."""
    saga, words = queries.get(saga_id), query_of(_Query())["other"].strip()
    found: dict[str, Any] = _compared(saga, _other(saga, words)) if words else {"proposed": _proposed(saga)}
    return render_template("admin/compare.html", saga=saga, other=found.pop("other", None), words=words, **found)


def _other(saga: SagaRow, words: str) -> SagaRow:
    """Return the saga with this id, or with an id that begins or ends so."""
    digits = id_digits(words)
    if digits is None:
        raise InvalidError(("/with", "Give the id of a saga, or its last 8 digits."))
    alike = select(SagaRow).where(or_(*id_conditions(SagaRow.id, digits)), SagaRow.definition == saga.definition)
    found = db.session.scalars(alike.where(SagaRow.id != saga.id).limit(2)).all()
    if len(found) > 1:
        raise InvalidError(("/with", f"Several sagas have an id that begins or ends with {words}; give more digits."))
    if not found:
        raise NotFoundError(f"there is no other saga {words} of the type {saga.definition}")
    return found[0]


def _compared(saga: SagaRow, other: SagaRow) -> dict[str, Any]:
    left, right = _side(saga), _side(other)
    rows, differing = lines(left, right), values(left, right)
    return {
        "other": other, "lines": rows, "times": times(left, right), "values": differing, "absent": ABSENT,
        "most_values": MOST_VALUES, "took": [took_s(saga), took_s(other)],
        "parts_at": next((number for number, line in enumerate(rows) if line.differs), None),
    }  # fmt: skip


def _side(saga: SagaRow) -> Side:
    row, journal = shown(services().registry, saga, queries.journal(saga.id))
    redact = services().redact
    # Before the values are compared: a secret is hidden by the name of its field.
    hidden = [_Hidden(each, redact(each.reply)) for each in journal]
    return Side(data=redact(row.data), journal=hidden)  # type: ignore[arg-type]


class _Hidden:
    """A row of the journal whose reply has no secrets."""

    def __init__(self, row: Any, reply: Any) -> None:
        self._row, self.reply = row, reply

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


def _proposed(saga: SagaRow) -> list[Any]:
    """Return sagas of the type: those that completed last, and the newest."""
    ends, of_type = final_states(services().registry), (saga.definition,)
    completed = newest(SagaFilter(definitions=of_type, statuses=(Status.COMPLETED,)), ends, _PROPOSED + 1)
    latest = newest(SagaFilter(definitions=of_type), ends, _PROPOSED + 1, registry=services().registry)
    found = {row.id: row for row in (*completed[:_PROPOSED], *latest) if row.id != saga.id}
    return list(found.values())
