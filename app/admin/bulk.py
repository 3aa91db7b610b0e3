"""/admin/stuck/group: all sagas of one cause at once. First what it would come to, then part by part, with results.

Nobody's memory holds how far it has come: each part names the saga that it goes on behind, so that the page may be
left, or its server end, after any part. What becomes stuck anew meanwhile stands behind `until` and is left alone.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

from flask import render_template, request
from marshmallow import fields, validate

from app.access.needs import needs
from app.access.principal import principal
from app.access.roles import Role
from app.admin.acting import Said, moved, said
from app.admin.asked import Action, StuckQuery, asked, form
from app.admin.limits import limits
from app.admin.offers import Offer, offers
from app.admin.pages import pages
from app.admin.story import results_of
from app.admin.stuck import Group, group_of, sought_by
from app.api.listing import Cursor, cursor_at
from app.errors import NotFoundError, ProblemError
from app.services import services
from app.store import queries
from app.store.database import db
from app.store.instance import UNDER_WAY, Standing
from app.store.loading import may_be_sent, table_of
from app.store.trouble import Sought, Trouble

blueprint = pages("bulk")
#: How many sagas one part moves, and how long it then waits to see what becomes of them.
PART, WAIT_S, _LOOK_S = 20, 1.0, 0.05
#: How many sagas the dry run shows one by one.
SHOWN = 10
#: What a group can be asked for: to resolve by hand is to have seen to each by hand.
TOGETHER = ("retry", "compensate")


class _Part(Action):
    """after: where the part before has ended. until: when the first began. count, moved, refused: so far."""

    action = fields.String(required=True, validate=validate.OneOf(TOGETHER))
    after = Cursor(load_default=None)
    until = fields.AwareDateTime(load_default=None, default_timezone=UTC)
    count = fields.Integer(load_default=0, validate=validate.Range(0))
    moved = fields.Integer(load_default=0, validate=validate.Range(0))
    refused = fields.Integer(load_default=0, validate=validate.Range(0))


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one saga."""

    saga_id: UUID
    said: Said


@dataclass(frozen=True, kw_only=True)
class Example:
    """One saga of the group, and what each offer would send for it."""

    saga: Any
    offers: dict[str, Offer]


@blueprint.get("/admin/stuck/group")
@needs(Role.OPERATOR)
def show() -> str:
    """Show the dry run: how many sagas there are, and what would be sent for them. Change nothing."""
    query, trouble = asked(StuckQuery()), Trouble(services().registry, limits(services().registry))
    sought = sought_by(query)
    group = _group(trouble, sought)
    examples = _examples(trouble.page(sought, SHOWN)) if group else []
    return render_template("admin/bulk.html", query=query, group=group, examples=examples, together=TOGETHER)


@blueprint.post("/admin/stuck/group")
@needs(Role.OPERATOR)
def act() -> str:
    """Move the next part of the group, and tell what became of each; the page then asks for the next."""
    query, part = asked(StuckQuery()), form(_Part(), request.form)
    trouble, sought = Trouble(services().registry, limits(services().registry)), sought_by(query)
    until = (part["until"] or trouble.now).astimezone(UTC)
    found = trouble.page(sought, PART + 1, part["after"], until)
    results = _moved([row.id for row in found[:PART]], part)
    refused = sum(result.said.kind == "conflict" for result in results)
    following = cursor_at(found[PART - 1].entered_at, found[PART - 1].id) if len(found) > PART else None
    return render_template(
        "admin/bulk_part.html",
        query=query,
        part=part | {"until": until.isoformat(), "after": following},
        count=part["count"],
        moved=part["moved"] + len(results) - refused,
        refused=part["refused"] + refused,
        results=results,
    )


def _group(trouble: Trouble, sought: Sought) -> Group | None:
    found = trouble.groups(sought)
    if len(found) > 1:
        raise NotFoundError("these are several groups; begin with one of the list at /admin/stuck")
    return group_of(found[0]) if found else None


def _examples(found: Sequence[Any]) -> list[Example]:
    """Return what can be done with each saga now: nothing where this release does not have its table."""
    ids = [row.id for row in found]
    journals, sagas = queries.journals(ids), queries.sagas(ids)
    examples = []
    for row in found:
        if saga := sagas.get(row.id):
            definition, results = table_of(services().registry, saga, journals[row.id]), results_of(journals[row.id])
            offered = offers(definition, saga.state, saga.data, results, unsure=may_be_sent(saga)) if definition else []
            examples.append(Example(saga=row, offers={offer.action: offer for offer in offered}))
    return examples


def _moved(saga_ids: Sequence[UUID], part: dict[str, Any]) -> list[Result]:
    """Ask for all of them first, so that they run side by side, and then look what becomes of each."""
    told: dict[UUID, Said] = {}
    begun: dict[UUID, Standing] = {}
    for saga_id in saga_ids:
        try:
            begun[saga_id] = moved(services().sagas, saga_id, principal().actor, part, {}, 0.0)
        except ProblemError as error:
            told[saga_id] = Said(kind="conflict", words=f"Nothing was done: {error.detail}.")
    told |= {now.id: said(part["seen"], now) for now in _settled(begun)}
    return [Result(saga_id=saga_id, said=told[saga_id]) for saga_id in saga_ids]


def _settled(begun: dict[UUID, Standing]) -> list[Standing]:
    """Wait a little for sagas that are under way, and tell where they stand then."""
    ends = time.monotonic() + WAIT_S
    standing = dict(begun)
    while open_ := [saga_id for saga_id, now in standing.items() if now.status in UNDER_WAY]:
        db.session.rollback()
        standing |= {row.id: row for row in queries.standings(open_)}
        if time.monotonic() > ends:
            break
        time.sleep(_LOOK_S)
    return list(standing.values())
