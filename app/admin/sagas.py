"""/admin/sagas: all sagas, the newest first."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import redirect, render_template, url_for
from sqlalchemy import Row
from werkzeug.wrappers import Response

from app.access.permissions import Role, needs
from app.admin.export import exported, took_s
from app.admin.forms import ListQuery, query_of
from app.admin.pages import pages
from app.services import services
from app.store import queries
from app.store.lists import SagaFilter, id_prefix, newest
from app.views.child_rows import item_words, part_words
from app.views.saga_filters import narrowed
from app.views.states import final_states
from app.views.unknown_effects import unknown_words
from app.views.validation import cursor_at
from app.views.waits import sentences
from machines.statuses import Status

blueprint = pages("sagas")
PAGE = 50


@blueprint.get("/admin/sagas")
@needs(Role.VIEWER)
def show() -> str | Response:
    """List sagas. When the search finds exactly one saga by its id or its business reference, redirect to that saga.

    The first digits of an id are enough.
    """
    query, registry = query_of(ListQuery()), services().registry
    wanted = _filter(query)
    found = newest(wanted, final_states(registry), PAGE + 1, query["after"], registry)
    if len(found) == 1 and query["after"] is None and _names(query["q"], found[0]):
        return redirect(url_for("admin_saga.show", saga_id=found[0].id))
    following = cursor_at(found[PAGE - 1].created_at, found[PAGE - 1].id) if len(found) > PAGE else None
    return render_template(
        "admin/sagas.html", query=query, sagas=found[:PAGE], following=following, types=registry.names_with_branches,
        took_s=took_s,
        items=_items(found[:PAGE]) if "parent" in query else {},
        part_words=part_words,
        waits=sentences(registry, found[:PAGE]),
        unknown=unknown_words(registry, found[:PAGE]) if query.get("still_unknown") else {},
    )  # fmt: skip


def _items(found: Sequence[Row[Any]]) -> Mapping[UUID, str]:
    return item_words(services().registry, queries.sagas([row.id for row in found]).values())


@blueprint.get("/admin/sagas/export.<any(csv,json):form>")
@needs(Role.VIEWER)
def export(form: str) -> Response:
    """Return the sagas of the list as a file: CSV, or one JSON object per line."""
    return exported(_filter(query_of(ListQuery())), form)


def _filter(query: dict[str, Any]) -> SagaFilter:
    stuck = (Status.STUCK,) if query["stuck"] else ()
    return SagaFilter(
        roots=not (
            query["q"]
            or query["stuck"]
            or query.get("without_table")
            or query.get("still_unknown")
            or "parent" in query
        ),
        definitions=query["type"],
        statuses=query["status"] or stuck,
        states=query["state"],
        words=query["q"] or None,
        **narrowed(query),
    )


def _names(words: str, row: Any) -> bool:
    """Return True when the words are the business reference of this saga, its id, or the first digits of its id."""
    digits = id_prefix(words)
    return bool(words) and (words == row.order_ref or bool(digits and row.id.hex.startswith(digits)))
