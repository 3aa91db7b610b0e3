"""/admin/sagas: all sagas, the newest first."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import redirect, render_template, url_for
from sqlalchemy import Row
from werkzeug.wrappers import Response

from app.access.permissions import Role, keeps_to_tenant, needs
from app.admin.export import exported, took_s
from app.admin.forms import COLUMNS, USUAL_COLUMNS, ListQuery, query_of
from app.admin.pages import pages
from app.admin.saved_views import views_of
from app.services import services
from app.store import queries
from app.store.lists import LARGEST_TOTAL, MOST_SORTED, SagaFilter, newest, stuck_children, total
from app.store.saga_ids import is_named_by
from app.store.search import MOST_BEGINNING, MOST_SEARCHED, id_digits
from app.views.amounts import list_money
from app.views.child_rows import item_words, part_words
from app.views.saga_filters import bounded, narrowed, shows_children
from app.views.states import final_states, waiting_in
from app.views.unknown_effects import unknown_words
from app.views.validation import cursor_at
from app.views.waits import sentences
from machines.statuses import Status

blueprint = pages("sagas")
PAGE = 50
#: Most sagas of a client whose money is added up, which costs 0.1 ms for each.
MOST_ADDED = 500


@blueprint.get("/admin/sagas")
@needs(Role.VIEWER)
@keeps_to_tenant
def show() -> str | Response:
    """List sagas. When the search finds exactly one saga by its id or its business reference, redirect to that saga.

    The last 8 digits of an id are enough.
    """
    query, registry = query_of(ListQuery()), services().registry
    words, columns = query.get("q", ""), query["column"] or USUAL_COLUMNS
    wanted, searched_from = bounded(_filter(query))
    ends, order = final_states(registry), query["sort"]
    found = newest(wanted, ends, PAGE + 1, query["after"], registry, order=order)
    if len(found) == 1 and query["after"] is None and _names(words, found[0]):
        return redirect(url_for("admin_saga.show", saga_id=found[0].id))
    added = found if _is_of_one(query, found) and wanted.roots else None
    if added and len(found) > PAGE:
        added = newest(wanted, ends, MOST_ADDED + 1, None, registry, order=order)
    hides = wanted.roots and not (words or query["status"]) and any(table.starts_others for table in registry)
    more = len(found) > PAGE and order.endswith("created_at")
    return render_template(
        "admin/sagas.html", query=query, sagas=found[:PAGE], types=registry.names_with_branches, took_s=took_s,
        following=cursor_at(found[PAGE - 1].created_at, found[PAGE - 1].id) if more else None,
        total=total(wanted, ends, registry) if len(found) > PAGE or query["after"] else len(found),
        most=LARGEST_TOTAL, sorted_of=MOST_SORTED, searched=MOST_SEARCHED,
        searched_from=searched_from, page=PAGE,
        money=list_money(registry, (added or found[:PAGE])[:MOST_ADDED]) if "amount" in columns else None,
        added=added, most_added=MOST_ADDED, stuck_children=stuck_children(wanted, registry) if hides else 0,
        columns=columns, all_columns=COLUMNS, **views_of("sagas"),
        exact=bool(words),
        cut=MOST_BEGINNING if words and len(found) > 1 and found[0].is_cut else 0,
        **_children(found[:PAGE] if "parent" in query else ()),
        waits=sentences(registry, found[:PAGE], services().pauses.names),
        unknown=unknown_words(registry, found[:PAGE]) if query.get("still_unknown") else {},
    )  # fmt: skip


def _children(found: Sequence[Row[Any]]) -> dict[str, Mapping[UUID, str]]:
    """Return which part of their parent the sagas of a list are, and their items."""
    registry, children = services().registry, queries.sagas([row.id for row in found]) if found else {}
    return {
        "parts": {saga_id: part_words(registry, child) for saga_id, child in children.items()},
        "items": item_words(registry, children.values()),
    }


@blueprint.get("/admin/sagas/export.<any(csv,json):form>")
@needs(Role.VIEWER)
@keeps_to_tenant
def export(form: str) -> Response:
    """Return the sagas of the list as a file: CSV, or one JSON object per line."""
    query = query_of(ListQuery())
    wanted, _ = bounded(_filter(query))
    return exported(wanted, form, query["sort"])


def _filter(query: dict[str, Any]) -> SagaFilter:
    """Return the filter of the list. A saga that waits for a participant also has the status `waiting`."""
    stuck = (Status.STUCK,) if query["stuck"] else ()
    statuses = query["status"] or stuck
    return SagaFilter(
        roots=not (statuses == (Status.STUCK,) or query["stuck"] or shows_children(query)),
        statuses=statuses,
        held_in=waiting_in(services().registry) if Status.WAITING in statuses or query["backs_off"] is False else None,
        backs_off=query["backs_off"],
        **narrowed(query),
    )


def _is_of_one(query: dict[str, Any], found: Sequence[Row[Any]]) -> bool:
    """Return True for the first page of the sagas of one client, one order or one tag, whose money is added up."""
    is_named = any(query.get(word) for word in ("client", "order", "tag"))
    is_searched = bool(query.get("q")) and all(row.is_exact for row in found)
    return query["after"] is None and bool(found) and (is_named or is_searched)


def _names(words: str, row: Any) -> bool:
    """Return True when the words are the business reference of this saga, its id, or a part of its id."""
    digits = id_digits(words)
    return bool(words) and (words == row.order_ref or bool(digits and is_named_by(row.id, digits)))
