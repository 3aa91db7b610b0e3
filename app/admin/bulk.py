"""/admin/stuck/group: one action on all sagas of a group. The page first shows a dry run, then moves sagas in parts.

The server stores no progress: the form of each part contains the last saga of the previous part. So the operator can
leave the page, and the server can restart, between two parts. Sagas that became stuck after the start of the first part
(`until`) are not moved.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

from flask import render_template, request
from marshmallow import fields, validate

from app.access.permissions import Role, needs
from app.access.principal import principal
from app.admin.actions import Notice, move, notice_of
from app.admin.forms import Action, StuckQuery, form_of, query_of
from app.admin.pages import pages
from app.admin.stuck import Group, filter_of, group_of
from app.errors import NotFoundError, ProblemError
from app.services import services
from app.store import queries
from app.store.attention import Attention
from app.store.database import db
from app.store.instance import SagaSnapshot
from app.store.lists import SagaFilter
from app.store.loading import is_in_doubt, table_of
from app.views.available_actions import AvailableAction, available_actions
from app.views.masking import shown
from app.views.states import dwell_limits
from app.views.validation import Cursor, cursor_at
from machines.history import replies, skipped_steps
from machines.preview import Known
from machines.statuses import UNDER_WAY

blueprint = pages("bulk")
#: Number of sagas that one part moves.
PART = 20
#: Seconds that a part waits for the results of its sagas, and seconds between two reads of their states.
WAIT_S, _POLL_S = 1.0, 0.05
#: Number of sagas that the dry run shows one by one.
SHOWN = 10
#: Actions on a whole group. `resolve` is missing, because a person must first do the work of each saga by hand.
GROUP_ACTIONS = ("retry", "compensate")


class _Part(Action):
    """The form of one part of a group."""

    action = fields.String(required=True, validate=validate.OneOf(GROUP_ACTIONS))
    #: The last saga of the previous part; None in the first part.
    after = Cursor(load_default=None)
    #: The time at which the first part started; None in the first part.
    until = fields.AwareDateTime(load_default=None, default_timezone=UTC)
    #: Number of sagas of the group, of sagas moved so far, and of sagas whose move was refused so far.
    count = fields.Integer(load_default=0, validate=validate.Range(0))
    moved = fields.Integer(load_default=0, validate=validate.Range(0))
    refused = fields.Integer(load_default=0, validate=validate.Range(0))


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of the action on one saga."""

    saga_id: UUID
    notice: Notice


@dataclass(frozen=True, kw_only=True)
class Example:
    """One saga of the group, and the available actions by name."""

    saga: Any
    actions: dict[str, AvailableAction]


@blueprint.get("/admin/stuck/group")
@needs(Role.OPERATOR)
def show() -> str:
    """Show the dry run: the number of sagas, and the calls that each action would send. Change nothing."""
    query, attention = query_of(StuckQuery()), _attention()
    wanted = filter_of(query)
    group = _group(attention, wanted)
    examples = _examples(attention.page(wanted, SHOWN)) if group else []
    return render_template("admin/bulk.html", query=query, group=group, examples=examples, group_actions=GROUP_ACTIONS)


@blueprint.post("/admin/stuck/group")
@needs(Role.OPERATOR)
def act() -> str:
    """Move the next part of the group, and show the result of each saga. The page then requests the next part."""
    query, part = query_of(StuckQuery()), form_of(_Part(), request.form)
    attention, wanted = _attention(), filter_of(query)
    until = (part["until"] or attention.now).astimezone(UTC)
    found = attention.page(wanted, PART + 1, part["after"], until)
    results = _move_all([row.id for row in found[:PART]], part)
    refused = sum(result.notice.kind == "conflict" for result in results)
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


def _attention() -> Attention:
    registry = services().registry
    return Attention(registry, dwell_limits(registry))


def _group(attention: Attention, wanted: SagaFilter) -> Group | None:
    found = attention.groups(wanted)
    if len(found) > 1:
        raise NotFoundError("these are several groups; begin with one of the list at /admin/stuck")
    return group_of(found[0]) if found else None


def _examples(found: Sequence[Any]) -> list[Example]:
    """Return the available actions of each saga; none when this release does not have the saga's table."""
    ids = [row.id for row in found]
    journals, sagas = queries.journals(ids), queries.sagas(ids)
    examples = []
    for row in found:
        if saga := sagas.get(row.id):
            saga, journal = shown(services().registry, saga, journals[row.id])
            definition = table_of(services().registry, saga, journal)
            known = Known(data=saga.data, results=replies(journal), skipped=skipped_steps(journal))
            actions = (
                available_actions(definition, saga.state, saga.id, known, in_doubt=is_in_doubt(saga))
                if definition
                else []
            )
            examples.append(Example(saga=row, actions={action.name: action for action in actions}))
    return examples


def _move_all(saga_ids: Sequence[UUID], part: dict[str, Any]) -> list[Result]:
    """Request the moves of all sagas first, so that they run in parallel, and then collect the results."""
    notices: dict[UUID, Notice] = {}
    moved: dict[UUID, SagaSnapshot] = {}
    for saga_id in saga_ids:
        try:
            moved[saga_id] = move(services().sagas, saga_id, principal().actor, part, {}, 0.0)
        except ProblemError as error:
            notices[saga_id] = Notice(kind="conflict", text=f"Nothing was done: {error.detail}.")
    notices |= {now.id: notice_of(part["seen"], now) for now in _settled(moved)}
    return [Result(saga_id=saga_id, notice=notices[saga_id]) for saga_id in saga_ids]


def _settled(moved: dict[UUID, SagaSnapshot]) -> list[SagaSnapshot]:
    """Wait until all sagas have ended or are stuck, at most WAIT_S. Return their states."""
    end = time.monotonic() + WAIT_S
    now = dict(moved)
    while running := [saga_id for saga_id, snapshot in now.items() if snapshot.status in UNDER_WAY]:
        db.session.rollback()
        now |= {row.id: row for row in queries.snapshots(running)}
        if time.monotonic() > end:
            break
        time.sleep(_POLL_S)
    return list(now.values())
