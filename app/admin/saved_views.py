"""The views that people have saved of the lists of sagas: open, save, rename and delete them."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import flash, redirect, request, url_for
from marshmallow import RAISE, Schema, fields, validate
from werkzeug.wrappers import Response

from app.access.permissions import Role, keeps_to_tenant, needs
from app.access.principal import principal
from app.admin.forms import ListQuery, StuckQuery, form_of, query_of
from app.admin.pages import pages
from app.errors import ForbiddenError, InvalidError
from app.store import saved_views
from app.store.database import db
from app.store.saved_views import Editor
from app.views.validation import storable

blueprint = pages("views")
#: List → its page, and the schema of its query string.
_LISTS: dict[str, tuple[str, type[Schema]]] = {
    "sagas": ("admin_sagas.show", ListQuery),
    "stuck": ("admin_stuck.show", StuckQuery),
}
#: Parameters that are a place in a list, or ticks on it, and no part of a view.
_NO_PART = frozenset({"after", "id", "ticked"})
_LONGEST_NAME, _LONGEST_QUERY = 60, 4000


class _Trimmed(fields.String):
    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> str:
        return super()._deserialize(value, *arguments, **more).strip()


class _Named(Schema):
    class Meta:
        unknown = RAISE

    csrf_token = fields.String()
    name = _Trimmed(
        required=True,
        validate=[validate.Length(1, _LONGEST_NAME, error=f"Give 1 to {_LONGEST_NAME} characters."), storable],
    )


class _Saved(_Named):
    shared = fields.Boolean(load_default=False)


def views_of(page: str) -> dict[str, Any]:
    """Return what the page of a list shows of its saved views."""
    found = saved_views.visible(db.engine, page, principal().actor)
    return {"saved": found, "present_view": _query(), "views_of": page, "may_edit": _may_edit}


@blueprint.post("/admin/views/<any(sagas,stuck):page>")
@needs(Role.VIEWER)
@keeps_to_tenant
def save(page: str) -> Response:
    """Save the list with the query string of this request. To share it takes the role operator."""
    query_of(_LISTS[page][1]())
    form, query = form_of(_Saved(), request.form), _query()
    if form["shared"] and not principal().has(Role.OPERATOR):
        raise ForbiddenError("to share a view takes the role operator")
    if len(query) > _LONGEST_QUERY:
        raise InvalidError(("/query", f"The filters are longer than {_LONGEST_QUERY} characters."))
    saved_views.save(db.engine, principal().actor, page, form["name"], query, shared=form["shared"])
    return _back(page, query, f"The view {form['name']} is saved.")


@blueprint.post("/admin/views/<any(sagas,stuck):page>/<uuid:view_id>/rename")
@needs(Role.VIEWER)
@keeps_to_tenant
def rename(page: str, view_id: UUID) -> Response:
    name = form_of(_Named(), request.form)["name"]
    saved_views.rename(db.engine, view_id, _editor(), name)
    return _back(page, _query(), f"The view is called {name} now.")


@blueprint.post("/admin/views/<any(sagas,stuck):page>/<uuid:view_id>/delete")
@needs(Role.VIEWER)
@keeps_to_tenant
def remove(page: str, view_id: UUID) -> Response:
    saved_views.remove(db.engine, view_id, _editor())
    return _back(page, _query(), "The view is deleted.")


def _editor() -> Editor:
    return Editor(actor=principal().actor, is_admin=principal().has(Role.ADMIN))


def _may_edit(view: Any) -> bool:
    return bool(view.owner == principal().actor or principal().has(Role.ADMIN))


def _query() -> str:
    """Return the query string of this request as a view keeps it. An empty error or cause is a filter, too."""
    given = request.args.items(multi=True)
    kept = [(name, value) for name, value in given if name not in _NO_PART and (value or name in {"error", "cause"})]
    return urlencode(kept)


def _back(page: str, query: str, words: str) -> Response:
    flash(words, "done")
    return redirect(f"{url_for(_LISTS[page][0])}?{query}".rstrip("?"), 303)
